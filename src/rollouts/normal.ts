/** The standard normal distribution, as far as the Mann-Whitney test needs it. */

/** Up to here the power series is quick and exact to a few ulps; beyond it the continued fraction is. */
const SERIES_UP_TO = 3;
const FRACTION_TERMS = 200;
/** Halving [0, 40] this often ends at neighbouring doubles. */
const HALVINGS = 80;

/** P(Z > z). Sources: Abramowitz and Stegun 26.2.11 (series), 26.2.14 (continued fraction). */
export function upperTail(z: number): number {
  if (z < 0) return 1 - upperTail(-z);
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z >= SERIES_UP_TO) {
    let fraction = z;
    for (let term = FRACTION_TERMS; term > 0; term--) fraction = z + term / fraction;
    return density / fraction;
  }
  let term = z;
  let sum = z;
  for (let odd = 3; term > sum * Number.EPSILON; odd += 2) {
    term *= (z * z) / odd;
    sum += term;
  }
  return 0.5 - density * sum;
}

/** The z >= 0 with P(Z > z) = `tail`, for 0 < tail <= 0.5. */
export function upperQuantile(tail: number): number {
  let low = 0;
  let high = 40;
  for (let step = 0; step < HALVINGS; step++) {
    const middle = (low + high) / 2;
    if (upperTail(middle) > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
