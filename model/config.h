/* Reading single keys of a config.json: each function checks type and bounds and names the file and
 * the key. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

/* *value = an integer key within low..high. A key that is absent or null gives the fallback;
 * CONFIG_REQUIRED as fallback makes that an error. */
enum { CONFIG_REQUIRED = -2147483647 };
int config_int(const json_t *json, const char *where, const char *key, int low, int high,
               int fallback, int *value);

/* The same for a real number within low..high; a negative fallback makes an absent key an error. */
int config_real(const json_t *json, const char *where, const char *key, double low, double high,
                double fallback, double *value);

int config_bool(const json_t *json, const char *where, const char *key, bool fallback, bool *value);

/* A token id: an integer, the first of a list of them, or -1 where it is absent, null or an empty
 * list. */
int config_token(const json_t *json, const char *where, const char *key, int vocabulary,
                 int *value);

#endif
