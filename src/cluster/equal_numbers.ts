/** Whether two lists are the same. */
export function equalNumbers(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((one, place) => one === right[place]);
}
