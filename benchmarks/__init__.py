"""What a request costs: this server, its peers and the kernel's own floor, side by side.

    make bench                      # builds what it needs, measures, writes benchmarks/results/
    make bench BENCH=--quick        # the same in a few minutes, with more noise

`servers` and `scenarios` declare what is compared, `targets` what is to be reached; `install`
builds the environments, `measure` and `memory` take the figures, `report` and `chart` show them.
Nothing here is needed to run the server.
"""
