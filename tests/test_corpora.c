/* The extraction of each built-in corpus from small made files and a made `bible` program: what is
 * kept, what is left out, and what is said when something is wrong. */
#include "datasets/documents.h"
#include "datasets/pod.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cmocka.h>

static char *folder, *path_before;

/* Writes a file below the made root. */
static void put(const char *below, const char *text)
{
    char *path, *slash;
    assert_int_equal(file_join(&path, folder, below), 0);
    slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(file_make_directories(path), 0);
    *slash = '/';
    mem_free(path);
    fixture_write(folder, below, text);
}

static void put_compressed(const char *below, const char *text)
{
    char *path;
    put(below, "");
    assert_int_equal(file_join(&path, folder, below), 0);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, text, (unsigned)strlen(text)), (int)strlen(text));
    assert_int_equal(gzclose(file), Z_OK);
    mem_free(path);
}

/* An empty root, and nothing but the made programs and the system's in PATH. */
static int start(void **state)
{
    char *path;
    folder = fixture_folder("corpora");
    assert_int_equal(mem_printf(&path, "%s/bin:/usr/bin:/bin", folder), 0);
    setenv("PATH", path, 1);
    setenv("BITBENCH_CORPUS_ROOT", folder, 1);
    mem_free(path);
    return 0;
}

static int end(void **state)
{
    setenv("PATH", path_before, 1);
    unsetenv("BITBENCH_CORPUS_ROOT");
    mem_free(folder);
    return 0;
}

/* Extracts and compares with the documents joined by "\n\n". */
static void assert_extracts(const char *name, const char *expected)
{
    const struct corpus *corpus = corpus_find(name);
    struct documents all;
    char *joined, *line;
    assert_non_null(corpus);
    int rc = corpus->extract(corpus, &all);
    if (rc)
        fail_msg("%s", err_text());
    assert_int_equal(documents_join(&all, "\n\n", &joined, NULL), 0);
    assert_string_equal(joined, expected);
    assert_int_equal(corpus_difference(corpus, &all, &line), 0);
    assert_non_null(strstr(line, "BITBENCH_CORPUS_ROOT="));
    assert_non_null(strstr(line, corpus->expected_version));
    mem_free(line);
    mem_free(joined);
    documents_release(&all);
}

static void assert_refuses(const char *name, int code, const char *text)
{
    const struct corpus *corpus = corpus_find(name);
    struct documents all = {0};
    assert_non_null(corpus);
    assert_int_equal(corpus_load(corpus, &all, NULL), code);
    if (!strstr(err_text(), text))
        fail_msg("'%s' is not in '%s'", text, err_text());
    assert_null(all.text);
}

static void put_bible(const char *script)
{
    char *path;
    put("bin/bible", script);
    assert_int_equal(file_join(&path, folder, "bin/bible"), 0);
    assert_int_equal(chmod(path, 0755), 0);
    mem_free(path);
}

static void kjv_is_chapters_of_verses(void **state)
{
    put_bible(
        "#!/bin/sh\n[ \"$*\" = '-l 99999 gen1:1-rev22:21' ] || exit 9\ncat <<'END'\n\nGenesis 1\n\n"
        "  1 In the  beginning.\n  2 And the earth.\n\nGenesis 2\n\n  1 Thus the heavens.\nEND\n");
    assert_extracts("kjv",
                    "Genesis 1\nIn the beginning.\nAnd the earth.\n\nGenesis 2\nThus the heavens.");
}

static void kjv_says_what_is_wrong(void **state)
{
    put_bible("#!/bin/sh\necho Genesis 1\nexit 4\n");
    assert_refuses("kjv", ERR_IO, "corpus kjv: bible: ended with status 4");
    put_bible("#!/bin/sh\nexit 0\n");
    assert_refuses("kjv", ERR_FORMAT, "there is no text in it");
    put_bible("#!/bin/sh\necho Genesis 1\necho '  And no number'\n");
    assert_refuses("kjv", ERR_FORMAT, "neither a chapter nor a verse:   And no number");
    put_bible("#!/bin/sh\nprintf 'Genesis 1\\n  1 \\351t\\351\\n'\n");
    assert_refuses("kjv", ERR_FORMAT, "corpus kjv: byte 10 of the text is not UTF-8");
    setenv("PATH", folder, 1);
    assert_refuses("kjv", ERR_MISSING,
                   "corpus kjv: 'bible' is not installed: apt-get install bible-kjv");
}

static void put_wordnet(const char *nouns)
{
    put("usr/share/wordnet/data.noun", nouns);
    put("usr/share/wordnet/data.verb",
        "00000001 29 v 01 voice 0 000 | give voice to; \"He  voiced it\"  \n");
    put("usr/share/wordnet/data.adj",
        "00000002 00 s 02 out_of_place(p) 0 odd 0 000 | not fitting; \"it felt odd\"\n");
    put("usr/share/wordnet/data.adv", "00000003 02 r 01 wholly 0 000 | to the full");
}

static const char nouns[] =
    "  1 licence text | not a synset; \"at all\"\n"
    "00000001 03 n 02 thing 0 object 1 002 @ 00000001 n 0000 | what is; \"a thing\"\n"
    "00000002 03 n 01 entity 0 000 | that which exists\n"
    "00000003 04 n 01 act 0 000 | a deed; \"in the act\"\n";

static void wordnet_is_definitions(void **state)
{
    put_wordnet(nouns);
    assert_extracts(
        "wordnet",
        "thing: what is; \"a thing\"\n\nact: a deed; \"in the act\"\n\n"
        "voice: give voice to; \"He voiced it\"\n\nout of place: not fitting; \"it felt odd\"");
    assert_extracts("wordnet_rest", "entity: that which exists\n\nwholly: to the full");
}

static void wordnet_documents_are_short(void **state)
{
    struct strbuf text = {0};
    struct documents all;
    put_wordnet(nouns);
    for (int i = 0; i < 70; i++)
        assert_int_equal(
            strbuf_printf(&text, "%08d 05 n 01 cat%d 0 000 | a cat; \"cat %d\"\n", i, i, i), 0);
    put("usr/share/wordnet/data.noun", text.data);
    strbuf_release(&text);
    const struct corpus *corpus = corpus_find("wordnet");
    assert_int_equal(corpus->extract(corpus, &all), 0);
    assert_int_equal(all.count, 3 + 2); /* 32 + 32 + 6 cats, a verb, an adjective */
    documents_release(&all);
}

static void wordnet_says_what_is_wrong(void **state)
{
    assert_refuses("wordnet", ERR_MISSING, "apt-get install wordnet-base");
    put_wordnet(
        "00000001 03 n 01 thing 0 000 | fine; \"fine\"\n00000001 03 n 01 thing 0 000 no bar\n");
    assert_refuses("wordnet", ERR_FORMAT, "data.noun, line 2: not a synset");
    put_wordnet("00000001 03\n");
    assert_refuses("wordnet", ERR_FORMAT, "data.noun, line 1: not a synset");
    put_wordnet("00000001 3 n 01 thing 0 000 | gloss\n");
    assert_refuses("wordnet", ERR_FORMAT, "line 1");
}

/* Whichever allocation fails, the error comes through and nothing stays behind (the address
 * sanitizer sees to that). */
static void failed_allocations_are_reported(void **state)
{
    const struct corpus *corpus = corpus_find("wordnet");
    struct documents all = {0};
    put_wordnet(nouns);
    for (long nth = 1;; nth++) {
        mem_fail_at(nth);
        int rc = corpus_load(corpus, &all, NULL), pending = mem_fail_pending();
        mem_fail_at(0);
        if (pending) {
            assert_int_equal(rc, 0);
            assert_true(nth > 20);
            break;
        }
        /* the version of the package is only asked for the warning, which does without it */
        assert_true(rc == ERR_MEMORY || rc == 0);
        documents_release(&all);
    }
    documents_release(&all);
}

static void assert_plain(const char *pod, const char *expected)
{
    struct strbuf out = {0};
    assert_int_equal(strbuf_add(&out, "", 0), 0);
    assert_int_equal(pod_plain(&out, pod, strlen(pod)), 0);
    assert_string_equal(out.data, expected);
    strbuf_release(&out);
}

static void pod_codes_are_resolved(void **state)
{
    assert_plain("plain  text\nover lines", "plain text over lines");
    assert_plain("B<bold> I<it C<nested> end>", "bold it nested end");
    assert_plain("C<< $a <=> $b >> and C<<< a >> b >>>", "$a <=> $b and a >> b");
    assert_plain("C<E<lt>tagE<gt>> E<sol>E<verbar>", "<tag> /|");
    assert_plain("see L<perlfunc>, L<perlop/\"Quote\">, L</Section>, L<the text|perlre/x>",
                 "see perlfunc, \"Quote\" in perlop, \"Section\", the text");
    assert_plain("L<https://www.perl.org/x>", "https://www.perl.org/x");
    assert_plain("L<C<split>|/split PATTERN>", "split");
    assert_plain("index X<entry>gone, Z<>nothing, S<no break>", "index gone, nothing, no break");
    assert_plain("open C<never closed", "open never closed");
    assert_plain("C<< never closed", "never closed");
    assert_plain("a < b and 3<4, STDIN<", "a < b and 3<4, STDIN<");
    assert_plain("", "");
    struct strbuf deep = {0}; /* nesting beyond the limit is text, not a stack overflow */
    for (int i = 0; i < 5000; i++)
        assert_int_equal(strbuf_puts(&deep, "B<"), 0);
    struct strbuf out = {0};
    assert_int_equal(pod_plain(&out, deep.data, deep.length), 0);
    strbuf_release(&out);
    strbuf_release(&deep);
}

static void perldoc_is_prose(void **state)
{
    put("usr/share/perl/5.36.0/pod/perlb.pod",
        "=encoding utf8\n\n=head1 NAME\n\nperlb - the second of the files\n\n=head1 "
        "DESCRIPTION\n\nThis is C<prose> over\n"
        "two lines.\n\n    my $code = 1;\n\nor\n\n=over 4\n\n=item *\n\nA paragraph in a "
        "list.\n\n=item No body\n\n"
        "=item $x = 1\n\nAn item with its body.\n\n=item 2. Numbered\n\nIts body is like "
        "this.\n\n=back\n\n"
        "=begin html\n\nNot for us at all.\n\n=end html\n\n=for comment Not for us either, "
        "no.\n\n=head1 SEE ALSO\n\n"
        "Something else in another place.\n\n=cut\n\nthis is code, not pod at all\n\n=head1 "
        "MORE\n\n"
        "This is prose over two lines.\n\nThe last paragraph is here.\n");
    put("usr/share/perl/5.36.0/pod/perla.pod", "=head1 NAME\n\nperla - the first of the files\n");
    put("usr/share/perl/5.36.0/pod/perl5360delta.pod",
        "=head1 NAME\n\nperl5360delta - what is new here\n");
    put("usr/share/perl/5.36.0/pod/perltoc.pod", "=head1 NAME\n\nperltoc - a table of contents\n");
    assert_extracts(
        "perldoc",
        "perla - the first of the files\n\nperlb - the second of the files\nThis is prose over two "
        "lines.\n"
        "A paragraph in a list.\n$x = 1\nAn item with its body.\nNumbered\nIts body is like this.\n"
        "MORE\nThe last paragraph is here.");
}

static void perldoc_is_divided(void **state)
{
    struct strbuf text = {0};
    struct documents all;
    for (int i = 0; i < 40; i++)
        assert_int_equal(
            strbuf_printf(&text,
                          "=head1 SECTION %d\n\nParagraph %d has some words %0200d.\n\n"
                          "Another %d has some words %0300d.\n\n",
                          i, i, i, i, i),
            0);
    put("usr/share/perl/5.36.0/pod/perla.pod", text.data);
    const struct corpus *corpus = corpus_find("perldoc");
    assert_int_equal(corpus->extract(corpus, &all), 0);
    assert_int_equal(all.count, 20); /* a section has some 560 bytes, a document at least 600 */
    documents_release(&all);
    text.length = 0;
    assert_int_equal(strbuf_puts(&text, "=head1 LONG\n\n"), 0);
    for (int i = 0; i < 40; i++)
        assert_int_equal(
            strbuf_printf(&text, "=head2 Part %d\n\nParagraph %d has words %0570d.\n\n", i, i, i),
            0);
    put("usr/share/perl/5.36.0/pod/perla.pod", text.data);
    strbuf_release(&text);
    assert_int_equal(corpus->extract(corpus, &all), 0);
    assert_int_equal(all.count, 4); /* of 6,000 bytes at least */
    documents_release(&all);
}

static void perldoc_says_what_is_wrong(void **state)
{
    assert_refuses("perldoc", ERR_MISSING, "apt-get install perl-doc");
    put("usr/share/perl/5.36.0/pod/perla.pod", "=head1 NAME\n\nperla - caf\xe9 for everybody\n");
    assert_refuses("perldoc", ERR_FORMAT, "pod/perla.pod: not UTF-8");
    put("usr/share/perl/5.36.0/pod/perla.pod", "");
    assert_refuses("perldoc", ERR_FORMAT, "there is no text in it");
}

static void gcide_is_definitions(void **state)
{
    put_compressed(
        "usr/share/dictd/gcide.dict.dz",
        "\n\n00-database-info\n   This file is not text of the dictionary.\n\n"
        "Abacus \\Ab\"a*cus\\ ([a^]b\"[.a]*k[u^]s), n.; E. pl. {Abacuses}; L. pl. {Abaci} "
        "(-s[imac]). [L.\n"
        "   abacus, fr. Gr. ? a board.] (Math.)\n"
        "   1. A table or tray strewn with sand, anciently used for\n      drawing. [Obs.]\n      "
        "[1913 Webster]\n\n"
        "   2. (Arch.) The uppermost member of a {capital}; see antenn[ae].\n      [1913 "
        "Webster]\n\n"
        "            The climate affected their health and spirits.\n"
        "                                                  --Macaulay.\n      [1913 Webster]\n\n"
        "            In the beginning God made.          --Gen. i. 1.\n      [1913 Webster]\n\n"
        "            This proud man affects imperial ?way. --Dryden.\n      [1913 Webster]\n\n"
        "   {To feel of}, to examine by touching.\n\n"
        "   {Salt} (Chem.), a thing of the sea.\n      [1913 Webster]\n\n"
        "   3. a thing that another corpus says in these words.\n      [WordNet 1.5]\n\n"
        "Abaction \\Ab*ac\"tion\\, n.\n   Stealing cattle on a large scale. [Obs.]\n   [1913 "
        "Webster]\n\n"
        "Symbolic \\Sym*bol\"ic\\, Symbolical \\Sym*bol\"ic*al\\, a. [L.\n   symbolicus.]\n"
        "   Of or pertaining to a symbol.\n   [1913 Webster]\n\n"
        "Untagged \\Un*tagged\"\\, a.\n   Its source is not known to us.\n");
    assert_extracts("gcide",
                    "Abacus: A table or tray strewn with sand, anciently used for drawing.\n"
                    "The uppermost member of a capital; see antennae.\n"
                    "The climate affected their health and spirits.\n"
                    "To feel of, to examine by touching.\n"
                    "Salt, a thing of the sea.\n"
                    "Abaction: Stealing cattle on a large scale.\n"
                    "Symbolic: Of or pertaining to a symbol.");
}

static void gcide_says_what_is_wrong(void **state)
{
    assert_refuses("gcide", ERR_MISSING, "apt-get install dict-gcide");
    put_compressed("usr/share/dictd/gcide.dict.dz", "no entry at all\n");
    assert_refuses("gcide", ERR_FORMAT, "there is no text in it");
    put("usr/share/dictd/gcide.dict.dz", "\x1f\x8b\x08\x04 cut short");
    assert_refuses("gcide", ERR_FORMAT, "cannot decompress");
    /* brackets that never end, a lone backslash: left out, without harm */
    put_compressed(
        "usr/share/dictd/gcide.dict.dz",
        "Odd \\Odd, n. [L.\n   [1913 Webster\n\nEven \\E\"ven\\, a.\n   Not odd at all.\n   [1913 "
        "Webster]\n\n"
        "Stray \\Str\\, ([\n\nBack] \\B\\ n.\n   Closing first, as here]. \n   [1913 Webster]\n");
    assert_extracts("gcide", "Even: Not odd at all.");
}

static void foldoc_is_prose(void **state)
{
    put_compressed(
        "usr/share/dictd/foldoc.dict.dz",
        "\n00-database-short\n     The dictionary of this name.\n\n"
        "Defense Data Network\nDDN\n\n   <networking, x> (DDN) A network serving the {Department "
        "(dod)} of\n"
        "   {Defense (http://dod.mil/)}.\n\n      code = 1;\n\n   {(http://ddn.mil/)}.\n\n   "
        "(1994-12-01)\n\n"
        "   A heading without an end\n\n   [\"A paper\", by somebody, in some journal].\n\n"
        "deferral%%%defer\n\n   Waiting for quiet on the {Ethernet}.\n");
    assert_extracts(
        "foldoc", "Defense Data Network: (DDN) A network serving the Department (dod) of Defense.\n"
                  "deferral: Waiting for quiet on the Ethernet.");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    static const struct CMUnitTest tests[] = {
        TEST(kjv_is_chapters_of_verses),
        TEST(kjv_says_what_is_wrong),
        TEST(wordnet_is_definitions),
        TEST(wordnet_documents_are_short),
        TEST(wordnet_says_what_is_wrong),
        TEST(failed_allocations_are_reported),
        cmocka_unit_test(pod_codes_are_resolved),
        TEST(perldoc_is_prose),
        TEST(perldoc_is_divided),
        TEST(perldoc_says_what_is_wrong),
        TEST(gcide_is_definitions),
        TEST(gcide_says_what_is_wrong),
        TEST(foldoc_is_prose),
    };
    FIXTURE_OK(mem_strdup(&path_before, getenv("PATH") ? getenv("PATH") : ""));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(path_before);
    return failed;
}
