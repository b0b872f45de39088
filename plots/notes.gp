# What is said at the foot of a plot, below its key: note_text, which the script sets, and the labels of `missing`, the points that
# failed or have nothing to show. foot is the height in pixels that the two take; @notes writes them.
missing_names = missing_count > 0 ? missing[1] : ''
do for [i = 2:missing_count] { missing_names = missing_names . '; ' . missing[i] }
missing_note = missing_count == 0 ? '' : 'Not shown, failed or not finite: ' . missing_names
foot(noted, missed) = 18 * (noted > 0) + 18 * (missed > 0)
note_letters = int((picture_width - 24) / (small_width))
note_style = ' font "," . small_font textcolor rgb 0x555555;'
notes = 'set label 901 fit_head(note_text, note_letters) noenhanced at screen 12 / picture_width, screen (11 + foot(0, missing_count)) / picture_height' . note_style \
    . 'set label 902 fit_head(missing_note, note_letters) noenhanced at screen 12 / picture_width, screen 11 / picture_height' . note_style
