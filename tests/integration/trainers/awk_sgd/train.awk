END {
    read_table(spec["data.file"])
    for (epoch = done + 1; epoch <= last; epoch++) {
        srand(spec["train.seed"] * 1000 + epoch)
        train_epoch(spec["train.schedule"] == "decay" ? 1 - (epoch - 1) / spec["train.epochs"] : 1)
        measure(0)
        save(results "/weights_" epoch ".txt")
        printf "epoch %d/%d: accuracy %.6f, loss %.6f\n", epoch, last, accuracy, mean_loss
        fflush()
        if (spec["train.pause"] > 0) system("sleep " spec["train.pause"])
    }
}

function train_epoch(share, order, count, row, other, kept, i, c, f, step) {
    step = spec["train.learning_rate"] * share
    for (row = 1; row <= rows; row++) if (row % 5 > 1) order[++count] = row
    for (i = count; i > 1; i--) {
        other = 1 + int(rand() * i)
        kept = order[i]; order[i] = order[other]; order[other] = kept
    }
    for (i = 1; i <= count; i++) {
        row = order[i]
        predict(row)
        for (c = 0; c < classes; c++)
            for (f = 0; f <= features; f++)
                weight[c, f] -= step * ((score[c] - (c == class[row])) * x[row, f] \
                    + spec["train.l2"] * weight[c, f])
    }
}

function save(path, c, f) {
    print "epoch", epoch > path
    for (c = 0; c < classes; c++)
        for (f = 0; f <= features; f++) printf "weight %d %d %.17g\n", c, f, weight[c, f] > path
    close(path)
}
