/* The part of a device that must not be wrong: reads what a server signs, writes what a device
 * proves. C11 and libsodium, no heap, no other library; § points into ../README.md.
 *
 *     json                                  judges strict JSON on standard input (§1)
 *     sheet NAME [LIMIT]                    judges a day sheet by its name (§7)
 *     timetable REGISTER ME NOW|- LAST      judges a signed timetable (§2, §6)
 *     record SEED DEV CHAIN BOOT SEQ PREV|- AT MONO   signs a `boot` record (§11)
 *
 * Prints `accept`, `same` or a word of §15 (`record`: the record) and exits 0; 2 is wrong use.
 * REGISTER is a file with a line `KID ROLE X EPOCH live|revoked|RETIRED_MS` for each key that the
 * chain of epochs names (§5: reading that chain is left to the reader). LAST is `-` or
 * `EPOCH VER SHA256` of what was accepted before, as one argument.
 *
 * Limits of this example: of a sheet it judges name, JSON, `v` and the order of its numbers, not
 * what items say; names of members may have 512 bytes; an object may have 1,100 members. What it
 * does not judge it does not call good: `accept` of a sheet means what stands in this line. */
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 65536
#define TIMETABLE 8192
#define HEADER 512
#define DEPTH 16
#define MEMBERS 1100
#define INTEGER INT64_C(9007199254740991)
#define DAY_AHEAD INT64_C(86400000)

typedef struct { const char *at, *end; } Text;
typedef const char *Word; /* NULL: nothing wrong */

/* ---- §1: strict JSON. One pass says whether the text is good; members are then found by asking
 * again, so that nothing has to be kept. */

static Text names[DEPTH][MEMBERS]; /* where the names of the open objects stand */

static void blank(Text *t) {
    while (t->at < t->end && strchr(" \t\r\n", *t->at) && *t->at) t->at++;
}

static int hex4(const char *s) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", low = (char)(s[i] | 0x20);
        const char *found = s[i] && ((s[i] >= '0' && s[i] <= '9') || (low >= 'a' && low <= 'f'))
                                ? strchr(digits, s[i] <= '9' ? s[i] : low) : NULL;
        if (!found) return -1;
        value = value * 16 + (int)(found - digits);
    }
    return value;
}

/* The next character of a string, behind its opening quote; -1 at its end, -2 if it is wrong. */
static int32_t next(Text *t) {
    if (t->at >= t->end) return -2;
    unsigned char c = (unsigned char)*t->at++;
    if (c == '"') return -1;
    if (c < 0x20) return -2;
    if (c == '\\') {
        if (t->at >= t->end) return -2;
        char e = *t->at++;
        const char *plain = "\"\\/bfnrt", *means = "\"\\/\b\f\n\r\t", *found = strchr(plain, e);
        if (e && found) return means[found - plain];
        if (e != 'u' || t->end - t->at < 4) return -2;
        int high = hex4(t->at);
        t->at += 4;
        if (high < 0 || (high >= 0xdc00 && high < 0xe000)) return -2;
        if (high < 0xd800 || high >= 0xe000) return high;
        if (t->end - t->at < 6 || t->at[0] != '\\' || t->at[1] != 'u') return -2;
        int low = hex4(t->at + 2);
        t->at += 6;
        if (low < 0xdc00 || low >= 0xe000) return -2;
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c < 0x80) return c;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    int32_t value = c & (0x3f >> more);
    if (c < 0xc2 || c > 0xf4 || t->end - t->at < more) return -2;
    for (int i = 0; i < more; i++) {
        unsigned char b = (unsigned char)*t->at++;
        if ((b & 0xc0) != 0x80) return -2;
        value = value << 6 | (b & 0x3f);
    }
    bool short_form = more == 2 ? value < 0x800 : more == 3 && value < 0x10000;
    bool foreign = value > 0x10ffff || (value >= 0xd800 && value < 0xe000);
    return short_form || foreign ? -2 : value;
}

static bool alike(Text a, Text b) { /* two strings, each behind its quote, both good */
    for (;;) {
        int32_t x = next(&a), y = next(&b);
        if (x != y) return false;
        if (x < 0) return true;
    }
}

static bool whole(Text *t, int64_t *value) {
    bool minus = t->at < t->end && *t->at == '-';
    if (minus) t->at++;
    const char *first = t->at;
    int64_t n = 0;
    while (t->at < t->end && *t->at >= '0' && *t->at <= '9') {
        n = n * 10 + (*t->at++ - '0');
        if (n > INTEGER) return false;
    }
    if (t->at == first || (*first == '0' && (t->at - first > 1 || minus))) return false;
    if (t->at < t->end && strchr(".eE", *t->at) && *t->at) return false;
    *value = minus ? -n : n;
    return true;
}

static bool value(Text *t, int depth) {
    int64_t n;
    blank(t);
    if (t->at >= t->end) return false;
    if (*t->at == '"') {
        t->at++;
        int32_t c;
        while ((c = next(t)) >= 0) {}
        return c == -1;
    }
    if (*t->at == '{' || *t->at == '[') {
        bool object = *t->at++ == '{';
        char close = object ? '}' : ']';
        int count = 0;
        if (depth >= DEPTH) return false;
        blank(t);
        if (t->at < t->end && *t->at == close) return t->at++, true;
        for (;;) {
            if (object) {
                blank(t);
                if (t->at >= t->end || *t->at != '"' || count == MEMBERS) return false;
                t->at++;
                Text name = *t;
                int32_t c;
                while ((c = next(t)) >= 0) {}
                if (c != -1) return false;
                for (int i = 0; i < count; i++)
                    if (alike(names[depth][i], name)) return false;
                names[depth][count++] = name;
                blank(t);
                if (t->at >= t->end || *t->at++ != ':') return false;
            }
            if (!value(t, depth + 1)) return false;
            blank(t);
            if (t->at >= t->end) return false;
            if (*t->at == close) return t->at++, true;
            if (*t->at++ != ',') return false;
        }
    }
    for (const char **word = (const char *[]){"true", "false", "null", NULL}; *word; word++) {
        size_t length = strlen(*word);
        if ((size_t)(t->end - t->at) >= length && !memcmp(t->at, *word, length))
            return t->at += length, true;
    }
    return whole(t, &n);
}

static bool strict(Text t) {
    if (!value(&t, 0)) return false;
    blank(&t);
    return t.at == t.end;
}

static bool skip(Text *t) { return value(t, 0); }

/* The value of a member of an object that is known to be good. */
static bool member(Text object, const char *name, Text *found) {
    Text t = object;
    blank(&t);
    if (t.at >= t.end || *t.at++ != '{') return false;
    for (;;) {
        blank(&t);
        if (*t.at == '}') return false;
        if (*t.at == ',') { t.at++; continue; }
        Text here = {++t.at, t.end};
        char wanted[520];
        int length = snprintf(wanted, sizeof wanted, "%s\"", name);
        bool is = alike(here, (Text){wanted, wanted + length});
        while (next(&t) >= 0) {}
        blank(&t);
        t.at++; /* the colon */
        blank(&t);
        found->at = t.at;
        /* A value may stand deeper here than it may by itself: it was judged already. */
        if (!skip(&t)) return false;
        found->end = t.at;
        if (is) return true;
    }
}

static bool number(Text object, const char *name, int64_t *n) {
    Text t;
    return member(object, name, &t) && whole(&t, n) && t.at == t.end;
}

static bool string(Text object, const char *name, char *out, size_t room) {
    Text t;
    if (!member(object, name, &t) || *t.at != '"') return false;
    t.at++;
    size_t used = 0;
    for (int32_t c; (c = next(&t)) >= 0;) {
        if (c >= 0x80 || used + 1 >= room) { c = '?'; if (used + 1 >= room) break; }
        out[used++] = (char)c;
    }
    out[used] = 0;
    return true;
}

static Word is_version_1(Text object) {
    int64_t v;
    if (!number(object, "v", &v)) return "member";
    return v == 1 ? NULL : "unsupported";
}

/* ---- §2: signatures */

typedef struct {
    char kid[44], role[16], x[44];
    long epoch;
    bool revoked;
    int64_t retired_ms; /* -1: in force */
} Key;

static Key keys[64];
static int key_count;

static bool read_register(const char *path) {
    FILE *file = fopen(path, "r");
    char state[32];
    if (!file) return false;
    while (key_count < 64 && fscanf(file, "%43s %15s %43s %ld %31s", keys[key_count].kid,
                                    keys[key_count].role, keys[key_count].x,
                                    &keys[key_count].epoch, state) == 5) {
        keys[key_count].revoked = !strcmp(state, "revoked");
        keys[key_count].retired_ms =
            strspn(state, "0123456789") == strlen(state) ? strtoll(state, NULL, 10) : -1;
        key_count++;
    }
    return fclose(file) == 0;
}

static bool base64(Text t, unsigned char *out, size_t room, size_t *length) {
    const char *end;
    return sodium_base642bin(out, room, t.at, (size_t)(t.end - t.at), NULL, length, &end,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 && end == t.end;
}

static unsigned char header[HEADER + 1], payload[MOST], message[TIMETABLE + 64];

/* Length, parts, base64url, header, register, signature, JSON, `v`: in this order. */
static Word open_jws(Text body, size_t limit, const char *typ, const char *role, Text *claims,
                     const Key **by) {
    if (body.at == body.end) return "empty";
    if ((size_t)(body.end - body.at) > limit) return "limit";
    const char *first = memchr(body.at, '.', (size_t)(body.end - body.at));
    const char *second = first ? memchr(first + 1, '.', (size_t)(body.end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(body.end - second - 1))) return "jws";
    size_t header_length, length, signature_length;
    unsigned char signature[64];
    Text head = {body.at, first};
    if (head.end - head.at > (HEADER + 2) / 3 * 4) return "limit";
    if (!base64(head, header, HEADER, &header_length)) return "jws";
    if (!base64((Text){first + 1, second}, payload, sizeof payload, &length)) return "jws";
    Text h = {(char *)header, (char *)header + header_length}, none;
    if (!strict(h) || *h.at != '{') return "json";
    char alg[16], said[64], kid[64];
    int members = 0;
    for (const char **n = (const char *[]){"alg", "typ", "kid", NULL}; *n; n++)
        members += member(h, *n, &none);
    Text t = h;
    int commas = 0, all = 0; /* every member besides the three is one too many */
    for (t.at++; blank(&t), *t.at != '}'; all++) {
        if (*t.at == ',') { t.at++; commas++; blank(&t); }
        t.at++;
        while (next(&t) >= 0) {}
        blank(&t);
        t.at++;
        if (!skip(&t)) return "json";
    }
    if (all != members) return "header";
    if (!string(h, "alg", alg, sizeof alg) || strcmp(alg, "EdDSA")) return "alg";
    if (!string(h, "typ", said, sizeof said) || strcmp(said, typ)) return "typ";
    unsigned char thumb[32], x[32];
    size_t thumb_length, x_length;
    if (!string(h, "kid", kid, sizeof kid) || strlen(kid) != 43
        || !base64((Text){kid, kid + 43}, thumb, 32, &thumb_length) || thumb_length != 32)
        return "jws";
    if (!base64((Text){second + 1, body.end}, signature, 64, &signature_length)
        || signature_length != 64)
        return "jws";
    bool known = false;
    *by = NULL;
    for (int i = 0; i < key_count; i++) {
        if (strcmp(keys[i].kid, kid)) continue;
        known = true;
        if (!strcmp(keys[i].role, role)) *by = &keys[i];
    }
    if (!known) return "unknown-key";
    if (!*by) return "role";
    if ((*by)->revoked) return "revoked";
    if (!base64((Text){(*by)->x, (*by)->x + 43}, x, 32, &x_length) || x_length != 32)
        return "weak-key";
    size_t signed_length = (size_t)(second - body.at);
    memcpy(message, body.at, signed_length);
    /* Strict: canonical scalar, no key of small order. */
    if (crypto_sign_verify_detached(signature, message, signed_length, x)) return "signature";
    *claims = (Text){(char *)payload, (char *)payload + length};
    if (!strict(*claims)) return "json";
    if (*claims->at != '{') return "member";
    return is_version_1(*claims);
}

static void sha256_hex(Text t, char out[65]) {
    unsigned char hash[32];
    crypto_hash_sha256(hash, (const unsigned char *)t.at, (unsigned long long)(t.end - t.at));
    sodium_bin2hex(out, 65, hash, 32);
}

static bool is_digest(const char *s) {
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* ---- §6: the timetable */

static bool is_id(const char *s) {
    size_t n = strlen(s);
    return n >= 3 && n <= 40 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n
        && s[0] != '-' && s[n - 1] != '-';
}

static Word days(Text list) {
    int64_t last = INT64_MIN, from, to;
    char sheet[80];
    int count = 0;
    if (list.at >= list.end || *list.at++ != '[') return "member";
    Word word = NULL;
    for (blank(&list); *list.at != ']'; blank(&list)) {
        if (*list.at == ',') { list.at++; blank(&list); }
        Text day = list;
        if (!skip(&list)) return "json";
        day.end = list.at;
        if (!number(day, "from_ms", &from) || !number(day, "to_ms", &to)
            || !string(day, "sheet", sheet, sizeof sheet) || !is_digest(sheet))
            return "member";
        if (from >= to || to - from > 93600000 || from < last) word = "content";
        last = to;
        if (++count > 32) word = word ? word : "limit";
    }
    return word;
}

static Word judge_timetable(Text body, const char *me, const char *now_text, const char *last) {
    Text claims, list;
    const Key *by;
    Word word = open_jws(body, TIMETABLE, "loa-timetable+jwt", "schedule", &claims, &by);
    char aud[64], iss[160], sha[65];
    int64_t iat, exp, ver, cap, trim, spread;
    if (word) return word;
    if (!string(claims, "aud", aud, sizeof aud) || !is_id(aud)
        || !string(claims, "iss", iss, sizeof iss) || !number(claims, "iat", &iat)
        || !number(claims, "exp", &exp) || !number(claims, "ver", &ver)
        || !member(claims, "units", &list) || *list.at != '['
        || !number(claims, "volume_cap", &cap) || cap < 0 || cap > 255
        || !number(claims, "trim_ms", &trim) || !number(claims, "fetch_spread_s", &spread)
        || spread < 0 || !member(claims, "days", &list))
        return "member";
    if ((word = days(list))) return word;
    if (ver < 1 || exp <= iat || cap > 100 || trim < -1000 || trim > 1000) return "content";
    if (by->retired_ms >= 0 && iat * 1000 > by->retired_ms) return "retired";
    if (strcmp(aud, me)) return "aud";
    long last_epoch;
    long long last_ver;
    char last_sha[65];
    if (sscanf(last, "%ld %lld %64s", &last_epoch, &last_ver, last_sha) == 3) {
        sha256_hex(body, sha);
        if (by->epoch < last_epoch || (by->epoch == last_epoch && ver < last_ver))
            return "version-low";
        if (by->epoch == last_epoch && ver == last_ver)
            return strcmp(sha, last_sha) ? "conflict" : "same";
    }
    if (*now_text != '-') {
        int64_t now = strtoll(now_text, NULL, 10);
        if (exp * 1000 <= now) return "expired";
        if (iat * 1000 > now + DAY_AHEAD || ver > now + DAY_AHEAD) return "ahead";
    }
    return NULL; /* persist (epoch, ver, SHA-256), then act */
}

/* ---- §7: the name and the JSON of a sheet */

static Word judge_sheet(Text body, const char *name, size_t limit) {
    char sha[65];
    int64_t from, to;
    if (body.at == body.end) return "empty";
    if ((size_t)(body.end - body.at) > limit) return "limit";
    sha256_hex(body, sha);
    if (strcmp(sha, name)) return "hash";
    if (!strict(body)) return "json";
    Word word = is_version_1(body);
    if (word) return word;
    if (!number(body, "from_ms", &from) || !number(body, "to_ms", &to)) return "member";
    return from < to && to - from <= 93600000 ? NULL : "content";
}

/* ---- §11: a record, signed once */

static int write_record(char **arg) {
    unsigned char seed[32], public[32], secret[64], thumb[32], signature[64];
    char x[44], kid[44], jwk[128], line[2048], text[4096];
    size_t length;
    if (!base64((Text){arg[0], arg[0] + strlen(arg[0])}, seed, 32, &length) || length != 32)
        return 2;
    int64_t numbers[4];
    for (int i = 0; i < 4; i++) {
        Text t = {arg[(int[]){3, 4, 6, 7}[i]], NULL};
        t.end = t.at + strlen(t.at);
        if (!whole(&t, &numbers[i]) || t.at != t.end) return 2;
    }
    bool first = !strcmp(arg[5], "-");
    bool chain = strlen(arg[2]) == 32 && strspn(arg[2], "0123456789abcdef") == 32;
    if (!is_id(arg[1]) || !chain || numbers[0] < 1 || numbers[1] < 1
        || first != (numbers[1] == 1) || (!first && !is_digest(arg[5])))
        return 2;
    crypto_sign_seed_keypair(public, secret, seed);
    sodium_memzero(seed, sizeof seed);
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    sodium_bin2base64(x, sizeof x, public, 32, variant);
    snprintf(jwk, sizeof jwk, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);
    crypto_hash_sha256(thumb, (unsigned char *)jwk, strlen(jwk));
    sodium_bin2base64(kid, sizeof kid, thumb, 32, variant);

    int n = snprintf(line, sizeof line,
                     "{\"alg\":\"EdDSA\",\"typ\":\"loa-record+jwt\",\"kid\":\"%s\"}", kid);
    sodium_bin2base64(text, sizeof text, (unsigned char *)line, (size_t)n, variant);
    size_t used = strlen(text);
    text[used++] = '.';
    const char *quote = first ? "" : "\"";
    n = snprintf(line, sizeof line,
                 "{\"v\":1,\"kind\":\"boot\",\"dev\":\"%s\",\"chain\":\"%s\",\"boot\":%lld,"
                 "\"seq\":%lld,\"prev\":%s%s%s,\"at_ms\":%lld,\"mono_ms\":%lld,"
                 "\"clock\":{\"src\":\"none\",\"age_s\":null,\"err_ms\":null},\"seen\":null,"
                 "\"attestor\":\"device\",\"fw\":\"verify_record.c 1\",\"reason\":\"power\","
                 "\"unclean\":true}",
                 arg[1], arg[2], (long long)numbers[0], (long long)numbers[1], quote,
                 first ? "null" : arg[5], quote, (long long)numbers[2], (long long)numbers[3]);
    sodium_bin2base64(text + used, sizeof text - used, (unsigned char *)line, (size_t)n, variant);
    used += strlen(text + used);
    crypto_sign_detached(signature, NULL, (unsigned char *)text, used, secret);
    sodium_memzero(secret, sizeof secret);
    text[used++] = '.';
    sodium_bin2base64(text + used, sizeof text - used, signature, 64, variant);
    puts(text); /* append it durably; its SHA-256 is the next record's `prev` */
    return 0;
}

int main(int count, char **arg) {
    static char input[2 * MOST + 1];
    if (count < 2 || sodium_init() < 0) return 2;
    if (!strcmp(arg[1], "record")) return count == 10 ? write_record(arg + 2) : 2;
    size_t read = fread(input, 1, sizeof input, stdin);
    Text body = {input, input + read};
    Word word;
    if (!strcmp(arg[1], "json") && count == 2)
        word = !read ? "empty" : strict(body) ? NULL : "json";
    else if (!strcmp(arg[1], "sheet") && (count == 3 || count == 4))
        word = judge_sheet(body, arg[2], count == 4 ? strtoul(arg[3], NULL, 10) : MOST);
    else if (!strcmp(arg[1], "timetable") && count == 6 && read_register(arg[2]))
        word = judge_timetable(body, arg[3], arg[4], arg[5]);
    else
        return 2;
    puts(word ? word : "accept");
    return 0;
}
