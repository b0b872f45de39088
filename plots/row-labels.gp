# For plots with a row for each point: room for the labels in rows[1..rows_count], as much as they need up to half of the
# picture; longer ones are cut. Sets left (the margin, a share of 900 pixels) and shortened(text).
longest = 0
do for [i = 1:rows_count] { longest = max(longest, strlen(rows[i])) }
row_font = longest > 40 ? ',' . small_font : ''
row_letter = longest > 40 ? letter_width * 0.92 : letter_width
left = min(0.5, (row_letter * longest + 22) / 900)
kept = int((left * 900 - 22) / row_letter + 0.5)
shortened(text) = strlen(text) > kept ? text[1:kept - 1] . '…' : text
