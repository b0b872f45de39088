#include "harness/positions.h"

#include "core/err.h"
#include "core/log.h"

int positions_check(const struct model_config *config, const char *what, int length)
{
    const char *limit = model_position_limit(config);
    if (length <= config->max_positions)
        return 0;
    if (limit)
        return err_set(ERR_USAGE,
                       "%s of %d tokens are longer than the model's %d positions: %s; shorten them",
                       what, length, config->max_positions, limit);
    log_warning("%s of %d tokens are longer than the model's %d positions", what, length,
                config->max_positions);
    return 0;
}
