# One matrix as BiLLM divides it: how many weights of each size are small, large or salient, and which columns are salient.
# Computed by `bitbench plot weight-histogram --layer BLOCK.NAME`; the rows of the file are described in
# harness/weight_histogram.h.
#
#size 900, 420

stats data_file using (strcol(1) eq 'about' ? (model = strcol(2), layer = strcol(3), matrix_rows = strcol(4), \
    matrix_columns = strcol(5), block_size = real(strcol(6)), boundary = real(strcol(7)), 1) : NaN) nooutput name 'ABOUT'
if (!exists('model')) { print data_file . ' is not what bitbench plot weight-histogram writes'; exit status 1 }
bins = 0
largest = 0
highest = 1
stats data_file using (strcol(1) eq 'bin' ? (largest = max(largest, $3), highest = max(highest, $4 + $5 + $6), bins = bins + 1, 1) : NaN) \
    nooutput name 'BIN'
if (bins == 0 || largest == 0) { print data_file . ': all weights are zero, or there are none'; exit status 1 }
marked = 0
stats data_file using (strcol(1) eq 'column' && $4 > 0 ? (marked = marked + 1, 1) : NaN) nooutput name 'COLUMN'

small_colour = series_colour(1)
large_colour = series_colour(3)
salient_colour = series_colour(4)
is(kind) = strcol(1) eq kind

set multiplot
set border 3
set tics nomirror scale 0.5
set label 1 fit_tail(model, 40) . ', ' . layer . sprintf(': %s × %s weights, blocks of %d columns', matrix_rows, matrix_columns, block_size) \
    noenhanced at screen 0.5, screen 1 - 14 / picture_height center
unset key
set tmargin at screen 1 - 54 / picture_height
set bmargin at screen 104 / picture_height

# Left: all weights as bars, each kind as a line. The axis counts logarithmically from one weight on.
set lmargin at screen 74 / picture_width
set rmargin at screen 0.53
set logscale y
set yrange [0.7:highest * 1.6]
set xrange [-largest * 1.02:largest * 1.02]
set xlabel 'weight' offset 0, 0.4
set label 2 'weights in a bin' at screen 13 / picture_width, graph 0.5 center rotate by 90
set format y '10^{%T}'
set grid ytics back linetype 1 dashtype solid linecolor rgb grid_colour linewidth 0.6
counted(kind) = max(column(kind), 0.5)
plot data_file using (is('bin') && $4 + $5 + $6 > 0 ? ($2 + $3) / 2 : NaN):($4 + $5 + $6):2:3:(0.7):($4 + $5 + $6) with boxxyerror \
        fillstyle solid noborder linecolor rgb 0xDDDDDD, \
     data_file using (is('bin') ? ($2 + $3) / 2 : NaN):(counted(4)) with histeps linewidth 1.6 linecolor rgb small_colour, \
     data_file using (is('bin') ? ($2 + $3) / 2 : NaN):(counted(5)) with histeps linewidth 1.6 dashtype 4 linecolor rgb large_colour, \
     data_file using (is('bin') ? ($2 + $3) / 2 : NaN):(counted(6)) with histeps linewidth 1.6 linecolor rgb salient_colour, \
     '+' using (boundary):(0.7):(0):(highest * 0.9) every ::0::0 with vectors nohead dashtype 2 linewidth 1.2 linecolor rgb 0x000000, \
     '+' using (-boundary):(0.7):(0):(highest * 0.9) every ::0::0 with vectors nohead dashtype 2 linewidth 1.2 linecolor rgb 0x000000

# Right: the columns' root mean squares, and which of them are salient.
unset label
unset logscale y
unset format
set lmargin at screen 0.62
set rmargin at screen 1 - 14 / picture_width
set xrange [-0.5:real(matrix_columns) - 0.5]
set yrange [0:*]
set xlabel 'column' offset 0, 0.4
set ylabel 'root mean square of the column' offset 1.4, 0
plot data_file using (is('column') && $4 == 0 ? $2 : NaN):3 with impulses linewidth 1 linecolor rgb 0xBBBBBB, \
     data_file using (is('column') && $4 > 0 ? $2 : NaN):3 with impulses linewidth 1.4 linecolor rgb salient_colour, \
     data_file using (is('column') && $4 > 0 ? $2 : NaN):3 with points pointtype 11 pointsize 0.6 * mark_size linecolor rgb salient_colour

unset label; unset tics; unset border; unset xlabel; unset ylabel; unset grid
set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0; set tmargin at screen 54 / picture_height
set xrange [0:1]
set yrange [0:1]
set key at screen 0.5, screen 50 / picture_height center top horizontal noenhanced Left reverse samplen 2 width -2 maxrows 1
plot NaN with boxes fillstyle solid noborder fillcolor rgb 0xDDDDDD title 'all', \
     NaN with lines linewidth 1.6 linecolor rgb small_colour title 'small', \
     NaN with lines linewidth 1.6 dashtype 4 linecolor rgb large_colour title 'large', \
     NaN with lines linewidth 1.6 linecolor rgb salient_colour title sprintf('salient: %d columns', marked), \
     NaN with lines dashtype 2 linewidth 1.2 linecolor rgb 0x000000 title sprintf('split at ±%.3g', boundary)
unset multiplot
