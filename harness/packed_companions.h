/* What a packed model takes over from the model it was made from, beside the weights. */
#ifndef HARNESS_PACKED_COMPANIONS_H
#define HARNESS_PACKED_COMPANIONS_H

/* Writes into folder `to` what the tokenizer of the model at `from` reads, and what other programs
 * look for beside it. Of a GGUF file that is tokenizer.gguf, its metadata without tensors; of a
 * checkpoint of llama2.c tokenizer.bin. With `tokenizer` (NULL: none) the tokenizer at that path
 * (tokenizer_open) takes the place of the model's own. */
int packed_companions(const char *from, const char *tokenizer, const char *to);

#endif
