# For plots with a row for each point: room for the labels in rows[1..rows_count], as much as they need up to half of the
# picture, in smaller letters if need be; what is longer still loses its middle. Sets left (the margin, a share of
# the picture) and row_ticks, which labels the rows (labels 1000 and on).
row_size = rows_longest > 62 ? small_size - 2 : small_size
row_font = rows_longest > 40 ? sprintf(',%d', row_size) : ''
row_letter = rows_longest > 40 ? small_width * row_size / small_size : letter_width
left = min(0.5, (row_letter * rows_longest + 24) / picture_width)
kept = int((left * picture_width - 24) / row_letter + 0.5)
# No tick labels: gnuplot would take those as formats.
row_ticks = 'unset ytics; do for [j = 1:rows_count] { set label (1000 + j) fit_middle(rows[j], kept) noenhanced font row_font \
    at screen left - 8 / picture_width, first j right textcolor rgb 0x222222 }'

# A key above the rows, as wide as the picture; key_top is its height in pixels.
key_strip_top = 'unset title; unset xlabel; unset label; unset tics; unset border; unset object; unset arrow; unset grid;' \
    . 'set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen 1; set bmargin at screen 1 - key_top / picture_height;' \
    . 'set xrange [0:1]; set yrange [0:1];' \
    . 'set key at screen 0.5, screen 1 - 8 / picture_height center top horizontal noenhanced Left reverse samplen 1.2 width 1;'
load 'notes.gp'
