# The one list of colours and point shapes: a method looks the same in every plot. The colours are Okabe and Ito's, which the
# colour-blind tell apart; the shapes tell them apart in grey. A method that is not listed is drawn in grey.

method_colour(m) = m eq 'full'   ? 0x000000 : \
                   m eq 'rtn'    ? 0xE69F00 : \
                   m eq 'gptq'   ? 0x0072B2 : \
                   m eq 'pb-llm' ? 0x009E73 : \
                   m eq 'billm'  ? 0xD55E00 : \
                   m eq 'onebit' ? 0xCC79A7 : \
                   m eq 'bitnet' ? 0x56B4E9 : 0x777777
method_shape(m)  = m eq 'rtn'    ? 5 : \
                   m eq 'gptq'   ? 7 : \
                   m eq 'pb-llm' ? 9 : \
                   m eq 'billm'  ? 11 : \
                   m eq 'onebit' ? 13 : \
                   m eq 'bitnet' ? 15 : 3

# For what is no method (corpora, stages): the same colours by number, and dashes.
array series_colours[7] = [0x0072B2, 0xE69F00, 0x009E73, 0xD55E00, 0xCC79A7, 0x56B4E9, 0x000000]
series_colour(i) = series_colours[(i - 1) % 7 + 1]

# Bars of full precision are grey: black ones would hide their whiskers.
bar_colour(m) = m eq 'full' ? 0x999999 : method_colour(m)
