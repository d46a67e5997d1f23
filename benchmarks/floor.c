/* The floor: what the kernel alone costs for a small request.
 *
 * One epoll loop that accepts, receives once and sends a constant. It parses nothing, so no
 * server that looks at its requests can be cheaper. It is right only for what the benchmarks send:
 * requests that come in one piece, one at a time.
 *
 *     cc -O2 -o floor floor.c && ./floor 8000
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char RESPONSE[] =
    "HTTP/1.1 200 OK\r\n"
    "Server: floor\r\n"
    "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 13\r\n"
    "\r\n"
    "Hello, World!";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Linux: accepted sockets inherit it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(fd, 2048) < 0) die("listen");
    return fd;
}

static void watch(int poller, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

int main(int argc, char **argv) {
    static char buffer[65536];
    struct epoll_event events[512];
    int listener, poller = epoll_create1(0);

    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    if (poller < 0) die("epoll_create1");
    listener = listen_on(atoi(argv[1]));
    watch(poller, listener);
    for (;;) {
        int count = epoll_wait(poller, events, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client >= 0) watch(poller, client);
                /* A poll said that there is something to receive: no bytes means the end, and
                 * an error, or a send that fails, means a client that is of no use any more. */
            } else if (recv(fd, buffer, sizeof buffer, 0) <= 0 ||
                       send(fd, RESPONSE, sizeof RESPONSE - 1, MSG_NOSIGNAL) < 0) {
                close(fd);
            }
        }
    }
}
