#include "model/config.h"

#include "core/err.h"

static bool absent(const json_t *value)
{
    return !value || json_is_null(value);
}

int config_int(const json_t *json, const char *where, const char *key, int low, int high,
               int fallback, int *value)
{
    const json_t *found = json_object_get(json, key);
    if (absent(found) && fallback == CONFIG_REQUIRED)
        return err_set(ERR_FORMAT,
                       "%s: key '%s' is missing: a whole number from %d to %d is needed", where,
                       key, low, high);
    if (absent(found)) {
        *value = fallback;
        return 0;
    }
    if (!json_is_integer(found))
        return err_set(ERR_FORMAT, "%s: key '%s' is not a whole number", where, key);
    json_int_t number = json_integer_value(found);
    if (number < low || number > high)
        return err_set(ERR_FORMAT, "%s: key '%s' is %" JSON_INTEGER_FORMAT ": %d to %d is possible",
                       where, key, number, low, high);
    *value = (int)number;
    return 0;
}

int config_real(const json_t *json, const char *where, const char *key, double low, double high,
                double fallback, double *value)
{
    const json_t *found = json_object_get(json, key);
    if (absent(found) && fallback < 0)
        return err_set(ERR_FORMAT, "%s: key '%s' is missing: a number from %g to %g is needed",
                       where, key, low, high);
    if (absent(found)) {
        *value = fallback;
        return 0;
    }
    if (!json_is_number(found))
        return err_set(ERR_FORMAT, "%s: key '%s' is not a number", where, key);
    double number = json_number_value(found);
    if (!(number >= low && number <= high))
        return err_set(ERR_FORMAT, "%s: key '%s' is %g: %g to %g is possible", where, key, number,
                       low, high);
    *value = number;
    return 0;
}

int config_bool(const json_t *json, const char *where, const char *key, bool fallback, bool *value)
{
    const json_t *found = json_object_get(json, key);
    if (!absent(found) && !json_is_boolean(found))
        return err_set(ERR_FORMAT, "%s: key '%s' is neither true nor false", where, key);
    *value = absent(found) ? fallback : json_is_true(found);
    return 0;
}

int config_token(const json_t *json, const char *where, const char *key, int vocabulary, int *value)
{
    const json_t *found = json_object_get(json, key);
    if (json_is_array(found))
        found = json_array_get(found, 0);
    if (absent(found)) {
        *value = -1;
        return 0;
    }
    if (!json_is_integer(found) || json_integer_value(found) < -1 ||
        json_integer_value(found) >= vocabulary)
        return err_set(ERR_FORMAT, "%s: key '%s' is not a token id below the vocabulary's %d",
                       where, key, vocabulary);
    *value = (int)json_integer_value(found);
    return 0;
}
