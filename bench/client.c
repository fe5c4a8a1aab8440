/* A load of HTTP requests from one thread: client PORT CONNECTIONS SECONDS RATE FIRST FILE

   FILE holds one whole request. In what is sent, every @@@@@@@@@@@@ is a number that comes once (from FIRST on), and
   every %%%%%% a number below 100000 by chance. RATE: requests a second, 0 for as many as are answered. After SECONDS
   nothing more is sent, and every answer is waited for: what is acknowledged is counted exactly. Prints one JSON line.

   cc -O2 -o client client.c */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 1024, MOST_MARKS = 2048, MOST_ANSWER = 1 << 17, UNIQUE = 12, CHANCE = 6, MOST_TIMES = 1 << 21 };

struct line { int fd, busy, sent, got; double since; char *out, in[MOST_ANSWER]; };

static char *request;
static int size, uniques[MOST_MARKS], n_uniques, chances[MOST_MARKS], n_chances;
static unsigned long long number, chaos = 88172645463325252ULL;
static struct line *lines[MOST_CONNECTIONS];
static long accepted, other;
static int first_other;
static float *times;
static long n_times;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) { perror(what); exit(1); }

static void digits(char *at, int n, unsigned long long value) {
    while (n--) { at[n] = '0' + value % 10; value /= 10; }
}

static int marks(const char *mark, int *places) {
    int n = 0;
    for (char *at = request; (at = strstr(at, mark)); at += strlen(mark)) {
        if (n == MOST_MARKS) { fprintf(stderr, "too many marks\n"); exit(1); }
        places[n++] = at - request;
    }
    return n;
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    request = calloc(1, size + 1);
    if (fread(request, 1, size, file) != (size_t)size) fail(path);
    fclose(file);
    n_uniques = marks("@@@@@@@@@@@@", uniques);
    n_chances = marks("%%%%%%", chances);
}

static struct line *connected(int port) {
    struct line *line = calloc(1, sizeof *line);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = 1;
    line->out = malloc(size);
    memcpy(line->out, request, size);
    line->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(line->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(line->fd, F_SETFL, O_NONBLOCK);
    return line;
}

static void push(struct line *line) {
    while (line->sent < size) {
        ssize_t n = write(line->fd, line->out + line->sent, size - line->sent);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) fail("write");
        line->sent += n;
    }
}

static void begin(struct line *line) {
    for (int i = 0; i < n_uniques; i++) digits(line->out + uniques[i], UNIQUE, number++);
    for (int i = 0; i < n_chances; i++) {
        chaos ^= chaos << 13; chaos ^= chaos >> 7; chaos ^= chaos << 17;
        digits(line->out + chances[i], CHANCE, chaos % 100000);
    }
    line->busy = 1; line->sent = 0; line->got = 0; line->since = now();
    push(line);
}

/* Whether the answer is complete; counts it then. */
static int taken(struct line *line) {
    for (;;) {
        ssize_t n = read(line->fd, line->in + line->got, MOST_ANSWER - 1 - line->got);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) { fprintf(stderr, "the server closed a connection\n"); exit(1); }
        line->got += n;
    }
    line->in[line->got] = 0;
    char *end = strstr(line->in, "\r\n\r\n"), *length = strcasestr(line->in, "content-length:");
    if (!end || !length || line->got < end + 4 - line->in + atoi(length + 15)) return 0;
    int status = atoi(line->in + 9);
    if (status / 100 == 2) accepted++; else { other++; first_other = first_other ? first_other : status; }
    if (n_times < MOST_TIMES) times[n_times++] = now() - line->since;
    line->busy = 0;
    return 1;
}

static int by_size(const void *a, const void *b) { return (*(float *)a > *(float *)b) - (*(float *)a < *(float *)b); }

int main(int argc, char **argv) {
    if (argc != 7) { fprintf(stderr, "client PORT CONNECTIONS SECONDS RATE FIRST FILE\n"); return 2; }
    int n = atoi(argv[2]), poll = epoll_create1(0), open = 0, turn = 0;
    double seconds = atof(argv[3]), rate = atof(argv[4]), began, ended;
    long started = 0;
    number = strtoull(argv[5], NULL, 10);
    chaos ^= number * 2654435761ULL;
    load(argv[6]);
    times = malloc(MOST_TIMES * sizeof *times);
    if (n < 1 || n > MOST_CONNECTIONS) return 2;
    for (int i = 0; i < n; i++) {
        lines[i] = connected(atoi(argv[1]));
        struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.u32 = i}};
        epoll_ctl(poll, EPOLL_CTL_ADD, lines[i]->fd, &event);
    }
    began = now();
    for (;;) {
        struct epoll_event events[256];
        double passed = now() - began;
        int sending = passed < seconds;
        /* One after the other, so that none is idle for so long that the server closes it. */
        for (int i = 0; sending && open < n && i < n && (rate == 0 || started < passed * rate); i++, turn = (turn + 1) % n)
            if (!lines[turn]->busy) { begin(lines[turn]); open++; started++; }
        if (!sending && !open) break;
        if (passed > seconds + 60) { fprintf(stderr, "%d answers never came\n", open); return 1; }
        int ready = epoll_wait(poll, events, 256, rate ? 1 : 100);
        for (int k = 0; k < ready; k++) {
            struct line *line = lines[events[k].data.u32];
            if (!line->busy) continue;
            if (events[k].events & EPOLLOUT) push(line);
            if (events[k].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && taken(line)) open--;
        }
    }
    ended = now();
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    qsort(times, n_times, sizeof *times, by_size);
    printf("{\"accepted\":%ld,\"other\":%ld,\"first_other\":%d,\"seconds\":%.3f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"cpu\":%.2f,\"next\":%llu}\n",
           accepted, other, first_other, ended - began, n_times ? times[n_times / 2] * 1e3 : 0,
           n_times ? times[n_times * 99 / 100] * 1e3 : 0,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6, number);
    return 0;
}
