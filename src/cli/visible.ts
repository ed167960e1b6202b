/**
 * The text with its control characters written out, but for line ends and tabs: some of it was said by
 * other hosts, and must not command the terminal of whoever reads it. As JSON writes them, so that JSON
 * stays what it is.
 */
export function visible(text: string): string {
  return text.replace(
    /[^\P{Cc}\n\t]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
