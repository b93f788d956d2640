# A table of rows, and the probabilities of their classes.

function read_table(path, cells, count, line) {
    while ((getline line < path) > 0) {
        count = split(line, cells, ",")
        rows++
        for (f = 1; f < count; f++) x[rows, f] = cells[f]
        x[rows, 0] = 1
        class[rows] = cells[count]
        features = count - 1
        if (cells[count] + 1 > classes) classes = cells[count] + 1
    }
    if (!rows) {
        print "no rows in " path > "/dev/stderr"
        exit 2
    }
}

function predict(row, c, f, total, largest) {
    for (c = 0; c < classes; c++) {
        score[c] = 0
        for (f = 0; f <= features; f++) score[c] += weight[c, f] * x[row, f]
        if (!c || score[c] > largest) largest = score[c]
    }
    total = 0
    for (c = 0; c < classes; c++) total += score[c] = exp(score[c] - largest)
    for (c = 0; c < classes; c++) score[c] /= total
}

# Accuracy and loss over the rows of one part: 0 validates, 1 tests.
function measure(part, row, c, best, right, loss) {
    measured = right = loss = 0
    for (row = 1; row <= rows; row++) {
        if (row % 5 != part) continue
        predict(row)
        best = 0
        for (c = 1; c < classes; c++) if (score[c] > score[best]) best = c
        right += best == class[row]
        loss -= log(score[class[row]] + 1e-12)
        measured++
    }
    accuracy = right / measured
    mean_loss = loss / measured
}
