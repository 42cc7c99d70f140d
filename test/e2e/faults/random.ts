// Choices that a seed repeats.

export interface Random {
  /** From 0 up to, and without, 1. */
  (): number;
  between(low: number, high: number): number;
  oneOf<T>(choices: readonly T[]): T;
  chance(probability: number): boolean;
}

/** Mulberry32: small, and good enough for choices. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return Object.assign(next, {
    between: (low: number, high: number) => low + Math.floor(next() * (high - low + 1)),
    oneOf: <T>(choices: readonly T[]) => choices[Math.floor(next() * choices.length)]!,
    chance: (probability: number) => next() < probability,
  });
}
