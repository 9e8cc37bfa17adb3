/** The word of `words` that was probably meant, if one is at most two typing errors away. */
export function closest(typed: string, words: readonly string[]): string | undefined {
  const limit = Math.min(2, Math.ceil(typed.length / 2));
  const ranked = words
    .map((word) => ({ word, distance: editDistance(typed.toLowerCase(), word.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.word;
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(typed: string, words: readonly string[]): string {
  const word = closest(typed, words);
  return word === undefined ? '' : ` (did you mean ${word}?)`;
}

/** Levenshtein's distance, with two swapped neighbours as one error. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(
        (previous[j] ?? 0) + 1,
        (current[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      current[j] = best;
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
