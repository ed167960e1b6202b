import { ApiProblem } from "./problem.ts";

/** An object's revision as an entity tag (RFC 9110 section 8.8.3). */
export function formatEtag(revision: number): string {
  return `"${revision}"`;
}

/**
 * The revision that `If-Match` demands, or null when it demands none: it is absent, or `*`, which
 * asks only that the object exists, and that every write does.
 *
 * @throws {ApiProblem} 400 when it is neither `*` nor one strong tag with a revision
 */
export function parseIfMatch(headers: Headers): number | null {
  const text = headers.get("if-match");
  if (text === null || text === "*") return null;
  const match = /^"(0|[1-9][0-9]{0,14})"$/.exec(text);
  if (match === null) {
    throw new ApiProblem(
      "invalid-parameter",
      'If-Match is * or one revision in quotes, as ETag gives it: "42"',
      { in: "header", field: "If-Match" },
    );
  }
  return Number(match[1]);
}
