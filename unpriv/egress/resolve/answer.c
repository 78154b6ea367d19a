#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIASES_MAX 16 /* in one answer */
#define EDNS_SIZE   1232
#define TTL_MOST    0x7fffffffu /* what is larger counts as 0 (RFC 2181, 8) */

/* --- queries ---------------------------------------------------------------------------- */

size_t query_write(const char *name, uint16_t type, uint16_t id, int edns, uint8_t out[QUERY_MAX]) {
    static const uint8_t opt[] = {0, 0, LDNS_RR_TYPE_OPT, EDNS_SIZE >> 8, EDNS_SIZE & 255, 0, 0, 0, 0, 0, 0};
    uint8_t header[] = {
        (uint8_t) (id >> 8), (uint8_t) id, 1 /* recursion desired */, 0, 0, 1, 0, 0, 0, 0, 0, edns != 0};
    memcpy(out, header, sizeof(header));
    size_t at = sizeof(header);
    const char *label = strcmp(name, ".") == 0 ? "" : name;
    while (*label) {
        const size_t length = strcspn(label, ".");
        if (length == 0 || length > LDNS_MAX_LABELLEN || at - sizeof(header) + length + 2 > LDNS_MAX_DOMAINLEN)
            return 0;
        out[at++] = (uint8_t) length;
        memcpy(out + at, label, length);
        at += length;
        label += length + (label[length] == '.');
    }
    const uint8_t end[] = {0, (uint8_t) (type >> 8), (uint8_t) type, 0, LDNS_RR_CLASS_IN};
    memcpy(out + at, end, sizeof(end));
    at += sizeof(end);
    if (edns)
        memcpy(out + at, opt, sizeof(opt));
    return at + (edns ? sizeof(opt) : 0);
}

/* --- answers ------------------------------------------------------------------------------ */

static uint32_t ttl_of(const ldns_rr *rr) {
    return ldns_rr_ttl(rr) > TTL_MOST ? 0 : ldns_rr_ttl(rr);
}

static int is_at(const ldns_rr *rr, const ldns_rdf *owner, ldns_rr_type type) {
    return ldns_rr_get_type(rr) == type && ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN &&
           ldns_dname_compare(ldns_rr_owner(rr), owner) == 0;
}

static const ldns_rr *find(const ldns_rr_list *list, const ldns_rdf *owner, ldns_rr_type type) {
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        if (is_at(ldns_rr_list_rr(list, i), owner, type))
            return ldns_rr_list_rr(list, i);
    }
    return NULL;
}

/* 1 when it answers that query: ours, of that name and type, and whole. */
static int is_answer_to(const ldns_pkt *pkt, uint16_t id, const ldns_rdf *name, uint16_t type) {
    const ldns_rr_list *question = ldns_pkt_question(pkt);
    return ldns_pkt_id(pkt) == id && ldns_pkt_qr(pkt) && ldns_pkt_get_opcode(pkt) == LDNS_PACKET_QUERY &&
           ldns_rr_list_rr_count(question) == 1 && is_at(ldns_rr_list_rr(question, 0), name, type);
}

static void add_address(struct found *found, const ldns_rr *rr) {
    const ldns_rdf *data = ldns_rr_rdf(rr, 0);
    if (!data || ldns_rdf_size(data) != 4 || found->count == RESOLVE_ADDRESSES_MAX)
        return;
    const uint8_t *b = ldns_rdf_data(data);
    const uint32_t ttl = ttl_of(rr) < found->ttl ? ttl_of(rr) : found->ttl;
    found->addresses[found->count++] = (struct resolve_address){
        .address = (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3], .ttl = ttl};
}

/* A name as resolve.h writes it. 0, or -EBADMSG for one that cannot be written so. */
static int write_name(const ldns_rdf *name, char out[RESOLVE_NAME_MAX]) {
    char *text = ldns_rdf2str(name);
    const size_t length = text ? strlen(text) : 0;
    int r = length > 1 && length <= RESOLVE_NAME_MAX && text[length - 1] == '.' && !strchr(text, '\\') ? 0 : -EBADMSG;
    if (r == 0) {
        memcpy(out, text, length - 1);
        memset(out + length - 1, 0, RESOLVE_NAME_MAX - (length - 1));
    }
    free(text);
    return r;
}

/* From the name asked for, alias by alias, to its addresses. Anything else in the answer counts for nothing. */
static int walk(struct found *found, const ldns_pkt *pkt, const ldns_rdf *name, uint16_t type) {
    const ldns_rr_list *list = ldns_pkt_answer(pkt);
    const ldns_rdf *at = name;
    for (int hops = 0;; hops++) {
        const ldns_rr *alias = type == LDNS_RR_TYPE_CNAME ? NULL : find(list, at, LDNS_RR_TYPE_CNAME);
        if (!alias)
            break;
        if (hops == ALIASES_MAX)
            return -ELOOP;
        found->ttl = ttl_of(alias) < found->ttl ? ttl_of(alias) : found->ttl;
        at = ldns_rr_rdf(alias, 0);
    }
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        if (type == LDNS_RR_TYPE_A && found->rcode == LDNS_RCODE_NOERROR &&
            is_at(ldns_rr_list_rr(list, i), at, LDNS_RR_TYPE_A))
            add_address(found, ldns_rr_list_rr(list, i));
    }
    found->next[0] = '\0';
    if (at != name && found->rcode == LDNS_RCODE_NOERROR && !find(list, at, (ldns_rr_type) type))
        return write_name(at, found->next);
    return 0;
}

/* Copies those of class IN; of authorities the SOA alone, which says for how long there is no answer (RFC 2308). */
static int copy(ldns_rr_list *to, const ldns_rr_list *from, int authorities) {
    for (size_t i = 0; i < ldns_rr_list_rr_count(from); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(from, i);
        if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN || (authorities && ldns_rr_get_type(rr) != LDNS_RR_TYPE_SOA))
            continue;
        ldns_rr *mine = ldns_rr_clone(rr);
        if (!mine || !ldns_rr_list_push_rr(to, mine)) {
            ldns_rr_free(mine);
            return -ENOMEM;
        }
        if (ldns_rr_ttl(mine) > TTL_MOST)
            ldns_rr_set_ttl(mine, 0);
    }
    return 0;
}

static int take_packet(struct found *found, const ldns_pkt *pkt, const ldns_rdf *name, uint16_t type) {
    struct found next = *found;
    next.rcode = ldns_pkt_get_rcode(pkt);
    if (next.rcode != LDNS_RCODE_NOERROR && next.rcode != LDNS_RCODE_NXDOMAIN) { /* it knows nothing of the name */
        found->rcode = next.rcode;
        found->next[0] = '\0';
        return 0;
    }
    if (!found->answers)
        next.ttl = TTL_MOST;
    next.answers = found->answers ? ldns_rr_list_clone(found->answers) : ldns_rr_list_new();
    next.authorities = ldns_rr_list_new();
    int r = next.answers && next.authorities ? walk(&next, pkt, name, type) : -ENOMEM;
    if (r == 0)
        r = copy(next.answers, ldns_pkt_answer(pkt), 0);
    if (r == 0)
        r = copy(next.authorities, ldns_pkt_authority(pkt), 1);
    found_free(r ? &next : found);
    if (r == 0)
        *found = next;
    return r;
}

int found_take(struct found *found, const uint8_t *bytes, size_t size, uint16_t id, const char *name, uint16_t type) {
    ldns_pkt *pkt = NULL;
    ldns_rdf *owner = ldns_dname_new_frm_str(name);
    int r = owner ? 0 : -ENOMEM;
    /* A cut answer may end in the midst of a record: its header says so. */
    if (r == 0 && size >= LDNS_HEADER_SIZE && LDNS_TC_WIRE(bytes) && LDNS_ID_WIRE(bytes) == id && LDNS_QR_WIRE(bytes))
        r = -EMSGSIZE;
    if (r == 0 && ldns_wire2pkt(&pkt, bytes, size) != LDNS_STATUS_OK)
        r = -EBADMSG;
    if (r == 0 && !is_answer_to(pkt, id, owner, type))
        r = -EBADMSG;
    if (r == 0)
        r = take_packet(found, pkt, owner, type);
    ldns_pkt_free(pkt);
    ldns_rdf_deep_free(owner);
    return r;
}

int found_message(const struct found *found, const char *name, uint16_t type, uint8_t out[RESOLVE_MESSAGE_MAX]) {
    uint8_t *wire = NULL;
    size_t size = 0;
    int r = -ENOMEM;
    ldns_pkt *pkt = ldns_pkt_query_new(ldns_dname_new_frm_str(name), (ldns_rr_type) type, LDNS_RR_CLASS_IN, LDNS_QR);
    int put = pkt && (!found->answers || (ldns_pkt_push_rr_list(pkt, LDNS_SECTION_ANSWER, found->answers) &&
                                          ldns_pkt_push_rr_list(pkt, LDNS_SECTION_AUTHORITY, found->authorities)));
    if (put && ldns_pkt2wire(&wire, pkt, &size) == LDNS_STATUS_OK)
        r = size <= RESOLVE_MESSAGE_MAX ? (int) size : -EMSGSIZE;
    if (r > 0)
        memcpy(out, wire, size);
    free(wire);
    /* Its records are still `found`'s. */
    if (pkt) {
        ldns_rr_list_set_rr_count(ldns_pkt_answer(pkt), 0);
        ldns_rr_list_set_rr_count(ldns_pkt_authority(pkt), 0);
    }
    ldns_pkt_free(pkt);
    return r;
}

void found_free(struct found *found) {
    ldns_rr_list_deep_free(found->answers);
    ldns_rr_list_deep_free(found->authorities);
    found->answers = found->authorities = NULL;
}
