# The first file is a spec in TOML: spec["train.learning_rate"] and so on. The second, if there is
# one, is a file of weights, which says its epoch in its first line.

FNR == 1 { file++ }

file == 1 {
    sub(/#.*/, "")
    if ($0 ~ /^\[/) {
        section = $0
        gsub(/[][ ]/, "", section)
    } else if (split($0, pair, "=") == 2) {
        gsub(/[ "]/, "", pair[1])
        gsub(/[ "]/, "", pair[2])
        spec[section "." pair[1]] = pair[2]
    }
}

file == 2 && $1 == "epoch" { done = $2 }
file == 2 && $1 == "weight" { weight[$2, $3] = $4 }
