/*
 * The load of bench/kerberos.ts: requests that each carry a fresh Negotiate token, over kept connections, one thread
 * and one request at a time for each. Tokens are made before the clock starts: what is measured is the server.
 *
 * Arguments: service host, connections. The tickets are those of KRB5CCNAME.
 * Reads lines "PORT PATH REQUESTS HEAD-FILE" from standard input, where the file holds further lines of the request's
 * head; answers each with one JSON line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <gssapi/gssapi.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { max_threads = 64, max_answer = 65536 };

static char head_lines[8192], path[512];
static const char *host;
static int port, threads;
static long requests;
static char **tokens;
static long failed[max_threads];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void check(OM_uint32 major, OM_uint32 minor, const char *what) {
  if (!GSS_ERROR(major)) return;
  gss_buffer_desc text;
  OM_uint32 ignored, more = 0;
  gss_display_status(&ignored, minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &text);
  fprintf(stderr, "%s: %.*s\n", what, (int)text.length, (char *)text.value);
  exit(1);
}

static char *base64(const unsigned char *bytes, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *text = malloc((length + 2) / 3 * 4 + 1), *at = text;
  for (size_t i = 0; i < length; i += 3) {
    unsigned long group = (unsigned long)bytes[i] << 16;
    if (i + 1 < length) group |= (unsigned long)bytes[i + 1] << 8;
    if (i + 2 < length) group |= bytes[i + 2];
    *at++ = digits[group >> 18];
    *at++ = digits[group >> 12 & 63];
    *at++ = i + 1 < length ? digits[group >> 6 & 63] : '=';
    *at++ = i + 2 < length ? digits[group & 63] : '=';
  }
  *at = 0;
  return text;
}

static char *make_token(gss_name_t service, gss_cred_id_t person) {
  /* SPNEGO, 1.3.6.1.5.5.2 */
  static gss_OID_desc spnego = { 6, "\x2b\x06\x01\x05\x05\x02" };
  gss_ctx_id_t context = GSS_C_NO_CONTEXT;
  gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
  OM_uint32 minor;
  OM_uint32 major = gss_init_sec_context(&minor, person, &context, service, &spnego, 0, 0, GSS_C_NO_CHANNEL_BINDINGS,
                                         GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
  check(major, minor, "gss_init_sec_context");
  char *text = base64(token.value, token.length);
  gss_release_buffer(&minor, &token);
  gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
  return text;
}

/* Reads one answer; what follows it cannot be there yet. Answers its status. */
static int read_answer(int connection) {
  static __thread char buffer[max_answer + 1];
  size_t length = 0, head = 0;
  long body = 0;
  for (;;) {
    ssize_t got = read(connection, buffer + length, max_answer - length);
    if (got <= 0) return 0;
    length += (size_t)got;
    buffer[length] = 0;
    if (head == 0) {
      char *end = strstr(buffer, "\r\n\r\n");
      if (end == NULL) continue;
      head = (size_t)(end - buffer) + 4;
      char *field = strcasestr(buffer, "\r\ncontent-length:");
      if (field != NULL && field < end) body = atol(field + 17);
    }
    if (length >= head + (size_t)body) return atoi(buffer + 9);
  }
}

static void *send_all(void *argument) {
  long thread = (long)argument;
  int connection = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char *request = malloc(200000);
  for (long i = thread; i < requests; i += threads) {
    int length = sprintf(request, "GET %s HTTP/1.1\r\nHost: %s\r\n%sAuthorization: Negotiate %s\r\n\r\n", path, host,
                         head_lines, tokens[i]);
    if (write(connection, request, (size_t)length) != length || read_answer(connection) != 200) failed[thread]++;
  }
  free(request);
  close(connection);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  host = argv[1];
  threads = atoi(argv[2]);
  OM_uint32 minor;
  char text[300], file[512], line[2048];
  gss_buffer_desc name = { (size_t)snprintf(text, sizeof text, "HTTP@%s", host), text };
  gss_name_t service;
  gss_cred_id_t person;
  check(gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &service), minor, "gss_import_name");
  check(gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET, GSS_C_INITIATE, &person, NULL, NULL),
        minor, "gss_acquire_cred");
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "%d %511s %ld %511s", &port, path, &requests, file) != 4) return 2;
    FILE *lines = fopen(file, "r");
    if (lines == NULL) die(file);
    head_lines[fread(head_lines, 1, sizeof head_lines - 1, lines)] = 0;
    fclose(lines);
    tokens = calloc((size_t)requests, sizeof *tokens);
    for (long i = 0; i < requests; i++) tokens[i] = make_token(service, person);
    memset(failed, 0, sizeof failed);
    struct timespec start, end;
    pthread_t running[max_threads];
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long i = 0; i < threads; i++) pthread_create(&running[i], NULL, send_all, (void *)i);
    long misses = 0;
    for (long i = 0; i < threads; i++) {
      pthread_join(running[i], NULL);
      misses += failed[i];
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("{\"requests\":%ld,\"failed\":%ld,\"seconds\":%.6f}\n", requests, misses, seconds);
    fflush(stdout);
    for (long i = 0; i < requests; i++) free(tokens[i]);
    free(tokens);
  }
  return 0;
}
