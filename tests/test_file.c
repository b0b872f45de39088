/* Files: what is written is whole or absent, also on a full disk; what is read is a regular file.
 */
#include "core/err.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/mem.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "%s", "/tmp/bitbench-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int entries(void) /* of the folder */
{
    int count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder); /* fails when a temporary file was left */
}

static void write_text(const char *text)
{
    struct file_writer writer;
    assert_int_equal(file_write_begin(&writer, path), 0);
    assert_int_equal(file_write(&writer, text, strlen(text)), 0);
    assert_int_equal(file_write_commit(&writer), 0);
    file_write_abort(&writer); /* legal after commit */
}

static void assert_content(const char *text)
{
    char *content;
    size_t size;
    assert_int_equal(file_read(path, &content, &size), 0);
    assert_int_equal(size, strlen(text));
    assert_string_equal(content, text);
    mem_free(content);
}

static void a_file_is_written_whole(void **state)
{
    write_text("first");
    assert_content("first");
    write_text("");
    assert_content("");
    write_text("second, longer");
    assert_content("second, longer");
    assert_int_equal(entries(), 1);
}

static void an_unfinished_file_leaves_the_old_one(void **state)
{
    write_text("old");
    struct file_writer writer;
    assert_int_equal(file_write_begin(&writer, path), 0);
    assert_int_equal(file_write(&writer, "new", 3), 0);
    assert_int_equal(entries(), 2);
    assert_content("old");
    file_write_abort(&writer);
    file_write_abort(&writer);
    assert_content("old");
    assert_int_equal(entries(), 1);
}

/* A limit on the size of files stands for a full disk: write fails in the same place. */
static void a_full_disk_loses_nothing(void **state)
{
    write_text("old");
    struct rlimit before, limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    static const char block[50000];
    for (int blocks = 3; blocks <= 8; blocks += 5) { /* noticed when flushed, noticed while writing
                                                      */
        struct file_writer writer;
        int rc = file_write_begin(&writer, path);
        for (int i = 0; i < blocks && rc == 0; i++)
            rc = file_write(&writer, block, sizeof block);
        if (rc == 0)
            rc = file_write_commit(&writer);
        file_write_abort(&writer);
        assert_int_equal(rc, ERR_IO);
        assert_non_null(strstr(err_text(), path));
        assert_content("old");
        assert_int_equal(entries(), 1);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
}

static void writing_where_no_folder_is_fails(void **state)
{
    struct file_writer writer;
    assert_int_equal(file_write_begin(&writer, "/no/such/folder/file"), ERR_IO);
    assert_non_null(strstr(err_text(), "/no/such/folder/file"));
    /* what is no file is not replaced by one */
    assert_int_equal(file_write_begin(&writer, "/dev/null"), ERR_IO);
    assert_int_equal(file_write_begin(&writer, "/tmp"), ERR_IO);
    assert_int_equal(file_write_begin(&writer, ""), ERR_USAGE);
    for (long nth = 1; nth <= 2; nth++) {
        mem_fail_at(nth);
        assert_int_equal(file_write_begin(&writer, path), ERR_MEMORY);
    }
    mem_fail_at(0);
}

static void maps_show_the_bytes(void **state)
{
    struct file_map map = {0};
    file_unmap(&map);
    write_text("abc");
    assert_int_equal(file_map_open(&map, path), 0);
    assert_int_equal(map.size, 3);
    assert_memory_equal(map.data, "abc", 3);
    file_unmap(&map);
    assert_null(map.data);
    char hex[HASH_HEX_SIZE];
    assert_int_equal(hash_file(path, hex), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    write_text("");
    assert_int_equal(file_map_open(&map, path), 0);
    assert_int_equal(map.size, 0);
    file_unmap(&map);
}

static void a_pointer_of_git_lfs_is_told(void **state)
{
    struct file_map map = {0};
    write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
    assert_int_equal(file_map_open(&map, path), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "git lfs pull"));
    assert_null(map.data);
    write_text("version https://git-lfs");
    assert_int_equal(file_map_open(&map, path), 0);
    file_unmap(&map);
}

static void only_regular_files_are_read(void **state)
{
    struct file_map map = {.size = 5};
    char *text = NULL;
    assert_int_equal(file_map_open(&map, "/no/such/file"), ERR_MISSING);
    assert_string_equal(err_text(), "/no/such/file: No such file or directory");
    assert_int_equal(map.size, 5); /* untouched */
    assert_int_equal(file_read(folder, &text, NULL), ERR_IO);
    assert_int_equal(file_read("/dev/zero", &text, NULL), ERR_IO);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(file_read(path, &text, NULL), ERR_IO);
    assert_non_null(strstr(err_text(), "not a regular file"));
    unlink(path);
    assert_null(text);
}

static void folders_are_made_with_their_parents(void **state)
{
    char deep[256];
    snprintf(deep, sizeof deep, "%s/a/b//c/", folder);
    assert_int_equal(file_make_directories(deep), 0);
    assert_int_equal(file_make_directories(deep), 0);
    assert_true(file_exists(deep));
    assert_int_equal(file_make_directories("."), 0);
    assert_int_equal(file_make_directories("/"), 0);
    assert_int_equal(file_make_directories(""), 0);
    write_text("in the way");
    assert_int_equal(file_make_directories(path), ERR_IO);
    assert_non_null(strstr(err_text(), path));
    snprintf(deep, sizeof deep, "%s/below", path);
    assert_int_equal(file_make_directories(deep), ERR_IO);
    static const char *const made[] = {"a/b/c", "a/b", "a"};
    for (int i = 0; i < 3; i++) {
        snprintf(deep, sizeof deep, "%s/%s", folder, made[i]);
        assert_int_equal(rmdir(deep), 0);
    }
}

static void names_are_joined(void **state)
{
    char *joined;
    assert_int_equal(file_join(&joined, "a", "b"), 0);
    assert_string_equal(joined, "a/b");
    mem_free(joined);
    assert_int_equal(file_join(&joined, "a/", "b"), 0);
    assert_string_equal(joined, "a/b");
    mem_free(joined);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_file_is_written_whole),
        IN_FOLDER(an_unfinished_file_leaves_the_old_one),
        IN_FOLDER(a_full_disk_loses_nothing),
        IN_FOLDER(writing_where_no_folder_is_fails),
        IN_FOLDER(maps_show_the_bytes),
        IN_FOLDER(a_pointer_of_git_lfs_is_told),
        IN_FOLDER(only_regular_files_are_read),
        IN_FOLDER(folders_are_made_with_their_parents),
        IN_FOLDER(names_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
