# Read before every plot, and before its #size is computed: functions, and the settings that all of them share.
load 'colours.gp'

min(a, b) = a < b ? a : b
max(a, b) = a > b ? a : b
grid_colour = 0xE0E0E0
set border linecolor rgb 0x444444
set tics textcolor rgb 0x222222

# A text that has to fit into so many letters: its end is what tells file names and models apart, its beginning labels.
fit_tail(text, letters) = strlen(text) > letters ? '…' . text[strlen(text) - max(letters, 2) + 2:] : text
fit_middle(text, letters) = strlen(text) > letters ? text[1:letters / 2] . '…' . text[strlen(text) - (letters - letters / 2) + 2:] \
    : text
fit_head(text, letters) = strlen(text) > letters ? text[1:max(letters, 2) - 1] . '…' : text

# A key below the panels: how many columns of entries of that many letters stand beside each other, and how many lines they make.
# gnuplot leaves entries out that find no room, so this is for its widest letters (SVG's: 9.1 pixels as it counts, lines of 19.5)
# and the longest samples (samplen 4 width 1).
key_columns(count, longest) = max(1, min(count, int(864 / (9.1 * (longest + 8) + 10))))
key_lines(count, longest) = (count + key_columns(count, longest) - 1) / key_columns(count, longest)

# Panels of accuracy-task that stand beside each other, and their lines.
task_columns(count) = min(count, 4)
task_lines(count) = (count + task_columns(count) - 1) / task_columns(count)

# More points than this in block-drift would need a key longer than the picture: the methods are named then.
drift_named(count) = count <= 16
