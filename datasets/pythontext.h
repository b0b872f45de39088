/* What Python's str methods do, for data sets whose prompts are defined by Python code. Text is
 * UTF-8; bytes that are not part of a character are left as they are. */
#ifndef DATASETS_PYTHONTEXT_H
#define DATASETS_PYTHONTEXT_H

#include <stddef.h>
#include <stdint.h>

/* len(text.rstrip()), in bytes. */
size_t python_rstrip(const char *text, size_t size);

/* text.strip(): *start = where it begins; the return is its size in bytes. */
size_t python_strip(const char *text, size_t size, const char **start);

/* *out = text.capitalize(): the first character in upper case, all others in lower case, where one
 * character becomes one; owned by the caller. */
int python_capitalize(const char *text, char **out);

/* len(text): the number of code points. */
size_t python_length(const char *text);

#endif
