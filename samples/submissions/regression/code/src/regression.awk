# A linear probability model, fitted by stochastic gradient descent to the rows of type train; predicts every other row.
# Arithmetic only: busybox's awk may lack exp and log. Variables: rounds, model and predictions (files to write).
BEGIN { FS = "," }

function predict(row,    j, p) {
  p = weight[0]
  for (j = 1; j <= features; j++) p += weight[j] * (value[row, j] - 0.5)
  return p < 0 ? 0 : p > 1 ? 1 : p
}

NR == 1 {
  for (i = 1; i <= NF; i++) {
    if ($i == "id") id_column = i
    else if ($i == "data_type") type_column = i
    else if ($i == "target") target_column = i
    else if ($i ~ /feature/) column[++features] = i
  }
  weight[0] = 0.5
  next
}

{
  rows++
  id[rows] = $id_column
  type[rows] = $type_column
  target[rows] = $target_column
  for (j = 1; j <= features; j++) value[rows, j] = $(column[j])
}

END {
  for (round = 1; round <= rounds; round++) {
    loss = 0; trained = 0
    for (row = 1; row <= rows; row++) {
      if (type[row] != "train") continue
      trained++
      error = target[row] - predict(row)
      loss += error * error
      weight[0] += 0.01 * error
      for (j = 1; j <= features; j++) weight[j] += 0.01 * error * (value[row, j] - 0.5)
    }
    if (round == 1 || round % 10 == 0) printf "round %d: Brier score %.4f on %d rows\n", round, loss / trained, trained
  }
  print "feature,weight" > model
  for (j = 0; j <= features; j++) printf "%d,%.8f\n", j, weight[j] > model
  print "id,probability" > predictions
  for (row = 1; row <= rows; row++)
    if (type[row] != "train") printf "%s,%.6f\n", id[row], predict(row) > predictions
}
