/*
 * Fetches a service ticket with authorization data of a given size and keeps it in the ticket cache, so that every
 * client of that cache sends tokens as long as those of people in many groups of Active Directory.
 *   large_ticket SERVICE BYTES      SERVICE as HTTP/host, BYTES below 65,000; the cache is that of KRB5CCNAME
 */
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(krb5_context context, krb5_error_code code, const char *what)
{
    if (code == 0) return;
    fprintf(stderr, "%s: %s\n", what, krb5_get_error_message(context, code));
    exit(1);
}

/* Writes a DER tag and length in front of what ends at `end` and starts at `*start`. */
static void wrap(unsigned char **start, unsigned char *end, unsigned char tag)
{
    size_t length = (size_t)(end - *start);
    unsigned char *at = *start;
    if (length < 128) {
        *--at = (unsigned char)length;
    } else {
        unsigned char count = 0;
        for (size_t rest = length; rest > 0; rest >>= 8, count++) *--at = (unsigned char)(rest & 0xff);
        *--at = (unsigned char)(0x80 | count);
    }
    *--at = tag;
    *start = at;
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    size_t size = strtoul(argv[2], NULL, 10);
    krb5_context context;
    krb5_ccache cache;
    krb5_creds wanted, *got;
    check(NULL, krb5_init_context(&context), "context");
    check(context, krb5_cc_default(context, &cache), "cache");
    memset(&wanted, 0, sizeof wanted);
    check(context, krb5_cc_get_principal(context, cache, &wanted.client), "client");
    check(context, krb5_parse_name(context, argv[1], &wanted.server), "service");

    /* AD-IF-RELEVANT (RFC 4120 section 5.2.6.1) around one element of a type nobody knows: servers pass it over. */
    unsigned char *buffer = calloc(1, size + 64);
    unsigned char *end = buffer + size + 64;
    unsigned char *at = end - size;
    wrap(&at, end, 0x04);
    wrap(&at, end, 0xa1);
    static const unsigned char type[] = { 0xa0, 0x04, 0x02, 0x02, 0x03, 0xe7 };
    at -= sizeof type;
    memcpy(at, type, sizeof type);
    wrap(&at, end, 0x30);
    wrap(&at, end, 0x30);
    krb5_authdata element = { KV5M_AUTHDATA, KRB5_AUTHDATA_IF_RELEVANT, (unsigned int)(end - at), at };
    krb5_authdata *elements[] = { &element, NULL };
    wanted.authdata = elements;
    check(context, krb5_get_credentials(context, KRB5_GC_NO_STORE, cache, &wanted, &got), "ticket");

    /* A client that asks for a plain ticket must find this one. */
    krb5_authdata **received = got->authdata;
    got->authdata = NULL;
    check(context, krb5_cc_store_cred(context, cache, got), "store");
    got->authdata = received;
    printf("%u\n", got->ticket.length);
    return 0;
}
