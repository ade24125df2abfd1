/*
 * The yardstick of bench/ldap.ts: sign-ins (search by account name, bind as the entry found) with OpenLDAP's libldap,
 * one thread and one search and one bind connection each. The service account keeps its own connection, as any
 * program that looks people up must: a bind changes who a connection is.
 *
 * Arguments: URL, threads, people, service DN, service password, base DN, attributes...
 * Reads seconds from standard input, one number per line; answers each with one JSON line.
 */
#include <ldap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { max_threads = 64 };

static char **arguments;
static long people;
static int threads;
static atomic_int stopping;
static struct {
  LDAP *search;
  LDAP *verify;
  long next;
  long done;
} workers[max_threads];

static void fail(const char *what, int code) {
  fprintf(stderr, "%s: %s\n", what, ldap_err2string(code));
  exit(1);
}

static LDAP *open_connection(void) {
  LDAP *connection;
  int version = LDAP_VERSION3;
  int code = ldap_initialize(&connection, arguments[1]);
  if (code != LDAP_SUCCESS) fail("initialize", code);
  ldap_set_option(connection, LDAP_OPT_PROTOCOL_VERSION, &version);
  return connection;
}

/* A simple bind with the password policy control, as the gateway sends it. */
static void bind_as(LDAP *connection, const char *dn, char *password) {
  struct berval credential = {strlen(password), password};
  LDAPControl *policy = NULL;
  LDAPControl *controls[2] = {NULL, NULL};
  LDAPControl **answered = NULL;
  LDAPMessage *result = NULL;
  int id, code, status = 0;
  ldap_create_passwordpolicy_control(connection, &policy);
  controls[0] = policy;
  code = ldap_sasl_bind(connection, dn, LDAP_SASL_SIMPLE, &credential, controls, NULL, &id);
  if (code != LDAP_SUCCESS) fail("bind", code);
  if (ldap_result(connection, id, LDAP_MSG_ALL, NULL, &result) <= 0) fail("bind result", LDAP_SERVER_DOWN);
  code = ldap_parse_result(connection, result, &status, NULL, NULL, NULL, &answered, 1);
  if (code != LDAP_SUCCESS) fail("parse", code);
  if (status != LDAP_SUCCESS) fail("bind answer", status);
  if (answered != NULL) {
    LDAPControl *found = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, answered, NULL);
    if (found != NULL) {
      ber_int_t expire, grace;
      LDAPPasswordPolicyError error;
      ldap_parse_passwordpolicy_control(connection, found, &expire, &grace, &error);
    }
    ldap_controls_free(answered);
  }
  ldap_control_free(policy);
}

static void sign_in(int worker) {
  char filter[128], password[64];
  long number = workers[worker].next % people;
  LDAP *connection = workers[worker].search;
  LDAPMessage *result = NULL, *entry;
  char **attributes = &arguments[7], *dn;
  int code;
  workers[worker].next += threads;
  snprintf(filter, sizeof filter, "(&(objectClass=inetOrgPerson)(uid=u%06ld))", number);
  snprintf(password, sizeof password, "password-%06ld", number);
  code = ldap_search_ext_s(connection, arguments[6], LDAP_SCOPE_SUBTREE, filter, attributes, 0, NULL, NULL, NULL, 2,
                           &result);
  if (code != LDAP_SUCCESS) fail("search", code);
  entry = ldap_first_entry(connection, result);
  if (entry == NULL) fail("no entry", LDAP_NO_SUCH_OBJECT);
  dn = ldap_get_dn(connection, entry);
  for (int i = 0; attributes[i] != NULL; i++) {
    struct berval **values = ldap_get_values_len(connection, entry, attributes[i]);
    if (values != NULL) ldap_value_free_len(values);
  }
  bind_as(workers[worker].verify, dn, password);
  ldap_memfree(dn);
  ldap_msgfree(result);
  workers[worker].done++;
}

static void *work(void *argument) {
  int worker = (int)(long)argument;
  while (!atomic_load(&stopping)) sign_in(worker);
  return NULL;
}

static double cpu_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void measure(double seconds) {
  pthread_t running[max_threads];
  struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  double before = cpu_seconds();
  long done = 0;
  atomic_store(&stopping, 0);
  for (int i = 0; i < threads; i++) {
    workers[i].done = 0;
    pthread_create(&running[i], NULL, work, (void *)(long)i);
  }
  nanosleep(&pause, NULL);
  atomic_store(&stopping, 1);
  for (int i = 0; i < threads; i++) pthread_join(running[i], NULL);
  for (int i = 0; i < threads; i++) done += workers[i].done;
  printf("{\"logins\": %ld, \"cpuUs\": %.3f}\n", done, (cpu_seconds() - before) * 1e6 / (double)done);
  fflush(stdout);
}

int main(int count, char **values) {
  char line[64];
  if (count < 8) return 2;
  arguments = values;
  threads = atoi(values[2]);
  people = atol(values[3]);
  if (threads < 1 || threads > max_threads || people < 1) return 2;
  for (int i = 0; i < threads; i++) {
    workers[i].search = open_connection();
    workers[i].verify = open_connection();
    workers[i].next = i;
    bind_as(workers[i].search, values[4], values[5]);
  }
  while (fgets(line, sizeof line, stdin) != NULL) measure(atof(line));
  return 0;
}
