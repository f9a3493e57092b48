/** The middle one; of an even number the lower middle. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))] ?? NaN
  );
}

/** How many a second, from a count and milliseconds. */
export function perSecond(count: number, ms: number): number {
  return (count / ms) * 1000;
}

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
