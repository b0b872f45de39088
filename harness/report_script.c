/* The page's only script: the heads of tables become buttons that sort them. Without it everything
 * is there, in the order of the spec. The page's policy lets it run by its hash and nothing else,
 * so that no text from a database ever acts, whatever went wrong with its escaping. */
#include "core/err.h"
#include "core/hash.h"
#include "harness/report_internal.h"

#include <stdlib.h>
#include <string.h>

/* A press sorts upwards, another downwards, a third restores the order that the rows came in. What
 * is not a number goes last when a column has numbers. There is no less-than sign in it, since
 * it stands in HTML. */
const char report_script[] =
    "(function () {\n"
    "'use strict';\n"
    "var number = /^[-+]?(\\d+\\.?\\d*|\\.\\d+)(e[-+]?\\d+)?(?=$|[\\s%\\[])/i;\n"
    "function text(row, column) {\n"
    "  return row.cells[column].textContent.replace(/^[\\s★≈×]+/, '').trim();\n"
    "}\n"
    "function compare(a, b) {\n"
    "  var x = number.exec(a), y = number.exec(b);\n"
    "  if (x && y) { return x[0] - y[0] || 0; }\n"
    "  return x ? -1 : y ? 1 : a.localeCompare(b, 'en', {numeric: true});\n"
    "}\n"
    "function sort(table, rows, heads, column) {\n"
    "  var before = heads[column].getAttribute('aria-sort');\n"
    "  var now = before === 'ascending' ? 'descending' : before ? null : 'ascending';\n"
    "  var sorted = rows.slice();\n"
    "  heads.forEach(function (head) { head.removeAttribute('aria-sort'); });\n"
    "  if (now) {\n"
    "    heads[column].setAttribute('aria-sort', now);\n"
    "    sorted.sort(function (a, b) {\n"
    "      var x = text(a, column), y = text(b, column);\n"
    "      if (number.test(x) !== number.test(y)) { return compare(x, y); }\n"
    "      return now === 'ascending' ? compare(x, y) : compare(y, x);\n"
    "    });\n"
    "  }\n"
    "  sorted.forEach(function (row) { table.tBodies[0].appendChild(row); });\n"
    "}\n"
    "document.querySelectorAll('table.sortable').forEach(function (table) {\n"
    "  var rows = Array.from(table.tBodies[0].rows);\n"
    "  var heads = Array.from(table.tHead.rows[0].cells);\n"
    "  heads.forEach(function (head, column) {\n"
    "    var button = document.createElement('button');\n"
    "    button.type = 'button';\n"
    "    button.title = 'Sort by this column';\n"
    "    while (head.firstChild) { button.appendChild(head.firstChild); }\n"
    "    button.addEventListener('click', function () { sort(table, rows, heads, column); });\n"
    "    head.appendChild(button);\n"
    "  });\n"
    "});\n"
    "}());\n";

static void base64_32(const unsigned char bytes[32], char out[45])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int n = 0;
    for (int i = 0; i < 32; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16 | (i + 1 < 32 ? (unsigned)bytes[i + 1] << 8 : 0) |
                         (i + 2 < 32 ? bytes[i + 2] : 0);
        for (int k = 0; k < 4; k++)
            out[n++] = digits[group >> (18 - 6 * k) & 63];
    }
    out[43] = '='; /* 32 bytes end in the middle of a group */
    out[44] = '\0';
}

/* What the page may do: its own style, this script, nothing from anywhere. */
int report_policy(struct strbuf *out)
{
    struct hash hash;
    char hex[HASH_HEX_SIZE], code[45];
    unsigned char bytes[32];
    hash_init(&hash);
    hash_add(&hash, report_script, strlen(report_script));
    hash_finish(&hash, hex);
    for (int i = 0; i < 32; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    base64_32(bytes, code);
    return strbuf_printf(out,
                         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                         "'none'; style-src 'unsafe-inline'; script-src 'sha256-%s'\">\n",
                         code);
}
