# The course of a training run, from its training.csv (--data names it): cross-entropy of the training batches and of the
# validation documents on the left, bits per byte of each corpus's validation documents on the right.
#
#size 900, 450

# The names of the columns: the header line as one field, cut at its commas.
set datafile separator "\n"
header = ''
stats data_file every ::0::0 using (header = strcol(1), 1) nooutput
set datafile separator ','
array names[200]
columns = 1
rest = header
while (strstrt(rest, ',') > 0) {
    names[columns] = rest[1:strstrt(rest, ',') - 1]
    rest = rest[strstrt(rest, ',') + 1:]
    columns = columns + 1
}
names[columns] = rest
number(name) = sum [c = 1:columns] (names[c] eq name ? c : 0)
TOKENS = number('tokens')
TRAIN = number('train_loss')
VALIDATION = number('validation_loss')
if (TOKENS * TRAIN * VALIDATION == 0) {
    print data_file . ' is no training log: it lacks the columns tokens, train_loss, validation_loss'
    exit status 1
}
ending = '_bits_per_byte'
is_corpus(name) = strlen(name) > strlen(ending) && name[strlen(name) - strlen(ending) + 1:] eq ending
corpus(name) = name[1:strlen(name) - strlen(ending)]

# stats leaves its variables undefined when a column has no values. Corpora that only have training text have none.
stats data_file every ::1 using TOKENS nooutput name 'TOKENS'
if (!exists('TOKENS_records')) { print data_file . ' has no rows yet'; exit status 1 }
stats data_file every ::1 using TRAIN nooutput name 'TRAIN'
stats data_file every ::1 using VALIDATION nooutput name 'VALIDATION'
array shown[200]
shown_count = 0
bound = 0
do for [c = 1:columns] {
    if (is_corpus(names[c])) {
        stats data_file every ::1 using c nooutput name 'BITS'
        if (exists('BITS_records')) {
            shown_count = shown_count + 1
            shown[shown_count] = c
            bound = max(bound, min(BITS_max, BITS_up_quartile + 2 * (BITS_up_quartile - BITS_min)))
        }
    }
}

set xlabel 'training tokens (millions)' offset 0, 0.4
set xtics nomirror
set ytics nomirror
set border 3
set grid xtics ytics back linetype 1 dashtype solid linecolor rgb grid_colour linewidth 0.6
set key noenhanced Left reverse samplen 2 horizontal

set multiplot
set tmargin at screen 0.9
set bmargin at screen 0.24
set lmargin at screen 0.075
set rmargin at screen 0.485
set xrange [0:TOKENS_max / 1e6 * 1.02]
set title 'loss' offset 0, -0.5
set key at screen 0.28, screen 0.07 center center maxcols 2
set ylabel 'cross-entropy (nats per token)' offset 1.2, 0
# The steep beginning is left out.
top = TRAIN_records > 4 ? min(TRAIN_max, TRAIN_up_quartile + 2 * (TRAIN_up_quartile - TRAIN_min)) : TRAIN_max
set yrange [*:top * 1.02]
if (exists('VALIDATION_records')) {
    plot data_file every ::1 using (column(TOKENS) / 1e6):TRAIN with lines linewidth 1 linecolor rgb 0x888888 \
            title 'training batches', \
         data_file every ::1 using (column(TOKENS) / 1e6):VALIDATION with linespoints pointtype 7 \
            pointsize 0.5 * mark_size linewidth 1.6 linecolor rgb series_colour(4) title 'validation'
} else {
    plot data_file every ::1 using (column(TOKENS) / 1e6):TRAIN with lines linewidth 1.2 linecolor rgb 0x777777 \
            title 'training batches'
}

if (shown_count > 0) {
    set lmargin at screen 0.575
    set rmargin at screen 0.985
    set title 'validation, by corpus'
    set key at screen 0.78, screen 0.07 center center maxcols 3
    set ylabel 'bits per byte'
    set yrange [*:bound * 1.03]
    plot for [k = 1:shown_count] data_file every ::1 using (column(TOKENS) / 1e6):(column(shown[k])) \
        with linespoints pointtype 2 * k + 3 pointsize 0.6 * mark_size linewidth 1.4 linecolor rgb series_colour(k) \
        title corpus(names[shown[k]])
}
unset multiplot
