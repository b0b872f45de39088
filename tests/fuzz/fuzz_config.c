/* config.json, read by every family that could be meant. */
#include "model/model.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(config, bytes, size)
{
    json_error_t where;
    json_t *json = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &where);
    struct model_config config;
    for (int i = 0; json_is_object(json) && architectures[i]; i++)
        (void)architectures[i]->read_config(json, &config, "fuzz");
    json_decref(json);
}

FUZZ_SEEDS(config)
{
    static const char *const texts[] = {
        "{\"model_type\":\"llama\",\"num_hidden_layers\":2,\"hidden_size\":32,\"intermediate_"
        "size\":"
        "48,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":8,\"vocab_size\":40,"
        "\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"rope_scaling"
        "\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":"
        "4.0,\"original_max_position_embeddings\":32},\"tie_word_embeddings\":true,"
        "\"bos_token_id\":1,\"eos_token_id\":[2,3],\"attention_bias\":false,\"hidden_act\":"
        "\"silu\"}",
        "{\"model_type\":\"opt\",\"num_hidden_layers\":2,\"hidden_size\":32,\"ffn_dim\":48,"
        "\"num_attention_heads\":4,\"vocab_size\":40,\"max_position_embeddings\":64,"
        "\"word_embed_proj_dim\":16,\"do_layer_norm_before\":false,\"activation_function\":"
        "\"relu\",\"enable_bias\":true}",
        "{\"model_type\":\"qwen2\",\"num_hidden_layers\":2,\"hidden_size\":32,\"intermediate_"
        "size\":"
        "48,\"num_attention_heads\":4,\"vocab_size\":40,\"sliding_window\":8,\"use_sliding_"
        "window\":"
        "true,\"max_window_layers\":1,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0}}"};
    static const char *const names[] = {"llama", "opt", "qwen2"};
    for (int i = 0; i < 3; i++)
        fuzz_seed(names[i], texts[i], strlen(texts[i]));
}
