#include "model/torch.h"
#include "core/err.h"
#include <string.h>
bool torch_is(const char *path)
{
    return tensor_file_begins(path, "PK\003\004", 4);
}
