/** What is refused before any handler sees it; codes and titles are those of the API. */
const PROBLEMS = {
  "invalid-parameter": { status: 400, title: "A parameter is not valid" },
  "not-permitted": { status: 403, title: "Not permitted" },
  "body-too-large": { status: 413, title: "The body is too large" },
  "internal": { status: 500, title: "A defect of the agent" },
} as const;

/** A problem document (RFC 9457). */
export function problem(code: keyof typeof PROBLEMS, detail: string): Response {
  const { status, title } = PROBLEMS[code];
  return Response.json({ type: `urn:agent:problem:${code}`, title, status, detail, code }, {
    status,
    headers: { "content-type": "application/problem+json" },
  });
}
