-- What a browser sends when it follows a link: with Host, which wrk adds, 13 field lines.
wrk.headers["Connection"] = "keep-alive"
wrk.headers["Upgrade-Insecure-Requests"] = "1"
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
wrk.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
wrk.headers["Sec-CH-UA"] = '"Chromium";v="131", "Not_A Brand";v="24"'
wrk.headers["Sec-CH-UA-Mobile"] = "?0"
wrk.headers["Sec-CH-UA-Platform"] = '"Linux"'
wrk.headers["Sec-Fetch-Site"] = "same-origin"
wrk.headers["Sec-Fetch-Mode"] = "navigate"
wrk.headers["Referer"] = "http://127.0.0.1/products?page=2"
wrk.headers["Accept-Encoding"] = "gzip, deflate, br, zstd"
wrk.headers["Cookie"] = "sessionid=6f1ed002ab5595859014ebf0951522d9; csrftoken=p4QyK0vLxE; theme=dark"
