#include "harness/train_log.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double LN2 = 0.69314718055994531;

static int header(const struct train_data *data, struct strbuf *out)
{
    char name[OPTION_TEXT_SIZE];
    int rc = 0;
    TRY(strbuf_puts(out,
                    "step,tokens,seconds,learning_rate,train_loss,gradient_norm,validation_loss"));
    for (int i = 0; i < data->count; i++) {
        snprintf(name, sizeof name, "%s", data->corpora[i].name);
        for (char *c = name; *c; c++) /* a path may hold what divides the columns */
            if (strchr(",\"\r\n", *c))
                *c = '_';
        TRY(strbuf_printf(out, ",%s_loss,%s_bits_per_byte", name, name));
    }
    TRY(strbuf_puts(out, "\n"));
out:
    return rc;
}

/* Appends the lines of text (behind its header) whose first number is at most step. */
static int keep_lines(struct strbuf *out, const char *text, int64_t step)
{
    const char *line = strchr(text, '\n');
    int rc = 0;
    while (rc == 0 && line && line[1]) {
        const char *begin = line + 1, *end = strchr(begin, '\n');
        if (!end) /* a line that was never finished */
            break;
        if (strtoll(begin, NULL, 10) <= step)
            rc = strbuf_add(out, begin, (size_t)(end - begin) + 1);
        line = end;
    }
    return rc;
}

int train_log_open(struct train_log *log, const char *folder, const struct train_data *data,
                   int64_t step)
{
    struct file_writer writer = {0};
    struct strbuf text = {0};
    char *old = NULL;
    int rc = 0;
    log->data = data;
    TRY(file_join(&log->path, folder, "training.csv"));
    TRY(header(data, &text));
    if (step > 0 && file_exists(log->path)) {
        TRY(file_read(log->path, &old, NULL));
        TRY(keep_lines(&text, old, step));
    }
    TRY(file_write_begin(&writer, log->path));
    TRY(file_write(&writer, text.data, text.length));
    TRY(file_write_commit(&writer));
    log->stream = fopen(log->path, "a");
    if (!log->stream)
        TRY(err_set(ERR_IO, "%s: %s", log->path, strerror(errno)));
out:
    file_write_abort(&writer);
    strbuf_release(&text);
    mem_free(old);
    return rc;
}

static int end_line(struct train_log *log)
{
    fputc('\n', log->stream);
    if (fflush(log->stream) != 0 || ferror(log->stream))
        return err_set(ERR_IO, "%s: cannot write: %s", log->path, strerror(errno));
    return 0;
}

int train_log_update(struct train_log *log, int64_t step, int64_t tokens, double rate, double loss,
                     double norm, double seconds)
{
    fprintf(log->stream, "%lld,%lld,%.1f,%.6e,%.5f,%.4f,", (long long)step, (long long)tokens,
            seconds, rate, loss, norm);
    for (int i = 0; i < log->data->count; i++)
        fputs(",,", log->stream);
    return end_line(log);
}

int train_log_validation(struct train_log *log, int64_t step, int64_t tokens, const double *losses,
                         double mean, double seconds)
{
    fprintf(log->stream, "%lld,%lld,%.1f,,,,%.5f", (long long)step, (long long)tokens, seconds,
            mean);
    for (int i = 0; i < log->data->count; i++) {
        const struct train_corpus_data *c = &log->data->corpora[i];
        double bits = losses[i] / LN2 * (double)c->validation_count / (double)c->validation_bytes;
        fprintf(log->stream, ",%.5f,%.5f", losses[i], bits);
    }
    return end_line(log);
}

void train_log_close(struct train_log *log)
{
    if (log->stream)
        fclose(log->stream);
    mem_free(log->path);
    memset(log, 0, sizeof *log);
}
