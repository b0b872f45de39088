/* Folders that are complete or absent. */
#include "core/folder.h"

#include "tests/fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

static char *root;

static char *in_root(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, root, name));
    return path;
}

static int entries(const char *path)
{
    int count = -2; /* . and .. */
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void expect_refused(const char *name, enum err_code code, const char *words)
{
    struct folder_writer writer = {0};
    char *path = in_root(name);
    assert_int_equal(folder_write_begin(&writer, path), code);
    if (!strstr(err_text(), words) || strchr(err_text(), '\n'))
        fail_msg("'%s' is not in: %s", words, err_text());
    assert_null(writer.path);
    mem_free(path);
}

/* Writes a folder with one file under the name; returns where it should be. */
static char *write_folder(const char *name)
{
    struct folder_writer writer = {0};
    char *path = in_root(name);
    FIXTURE_OK(folder_write_begin(&writer, path));
    fixture_write(writer.temporary, "file", "text");
    FIXTURE_OK(folder_write_commit(&writer));
    assert_null(writer.temporary);
    folder_write_abort(&writer); /* legal */
    return path;
}

static void whole_or_absent(void **state)
{
    struct folder_writer writer = {0};
    mem_free(write_folder("new//"));
    mem_free(write_folder("above/it/new"));
    char *path = in_root("new"), *file = in_root("new/file"), *text;
    FIXTURE_OK(file_read(file, &text, NULL));
    assert_string_equal(text, "text");
    expect_refused("new", ERR_USAGE, "is not empty");
    expect_refused("new/file", ERR_USAGE, "a file of that name");
    expect_refused("new/file/deeper", ERR_USAGE, "a file of that name");
    mem_free(path);
    path = in_root("broken");
    FIXTURE_OK(folder_write_begin(&writer, path));
    assert_int_equal(entries(path), -1);
    fixture_write(writer.temporary, "half", "a file");
    folder_write_abort(&writer);
    folder_write_abort(&writer);
    assert_int_equal(entries(root), 2); /* new and above */
    mem_free(path);
    mem_free(file);
    mem_free(text);
}

/* An empty folder is taken under whatever name it is called. */
static void empty_folders_are_taken(void **state)
{
    static const char *const names[] = {"empty", "empty/", "link", "./empty/../empty/."};
    char *empty = in_root("empty"), *link = in_root("link");
    assert_int_equal(symlink("empty", link), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        nftw(empty, fixture_remove, 4, FTW_DEPTH | FTW_PHYS);
        assert_int_equal(mkdir(empty, 0777), 0);
        mem_free(write_folder(names[i]));
        assert_int_equal(entries(empty), 1);
    }
    mem_free(empty);
    mem_free(link);
}

static void short_memory_is_an_error(void **state)
{
    char *path = in_root("short");
    for (long k = 1, pending = 0; !pending; k++) {
        struct folder_writer writer = {0};
        mem_fail_at(k);
        int rc = folder_write_begin(&writer, path);
        pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        folder_write_abort(&writer);
        assert_int_equal(entries(path), -1);
    }
    mem_free(path);
}

int main(void)
{
    root = fixture_folder("folder");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_or_absent),
        cmocka_unit_test(empty_folders_are_taken),
        cmocka_unit_test(short_memory_is_an_error),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(root);
    return failed;
}
