import assert from "node:assert/strict";

/** An answer of the API. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed when it is JSON, text otherwise. */
  readonly body: unknown;
}

/** Members of a problem document that tests look at. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly field?: string;
  readonly in?: string;
}

/** The unix socket of an agent, as a client of its API sees it. */
export class Socket {
  readonly #path: () => string;
  #client: Deno.HttpClient | null = null;

  /** `path` is asked at each connection: a host that was restarted has another one. */
  constructor(path: () => string) {
    this.#path = path;
  }

  /** Makes a request, whatever comes of it. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    return await this.send(path, {
      method,
      headers: { ...json, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** As `fetch`. */
  async send(path: string, init: RequestInit): Promise<Answer> {
    this.#client ??= Deno.createHttpClient({ proxy: { transport: "unix", path: this.#path() } });
    let response: Response;
    const client = this.#client;
    const ask = () => fetch(`http://localhost${path}`, { ...init, client });
    try {
      response = await ask();
      // Of a connection that was idle for 30 s, ended just as it was used again: nothing was read of the
      // request, which may be made once more (RFC 9110 section 15.5.9).
      if (response.status === 408) {
        await response.body?.cancel();
        response = await ask();
      }
    } catch (error) {
      // The next agent listens on a socket of its own.
      this.close();
      throw error;
    }
    const text = await response.text();
    const isJson = /^application\/(problem\+)?json/.test(
      response.headers.get("content-type") ?? "",
    );
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    };
  }

  /** Reads an object that must be there. */
  async get<T>(path: string): Promise<T> {
    return must<T>(await this.request("GET", path), `GET ${path}`);
  }

  /** Makes an object. */
  async post<T>(path: string, body: unknown): Promise<T> {
    return must<T>(await this.request("POST", path, body), `POST ${path}`);
  }

  /** Changes an object. */
  async patch<T>(path: string, body: unknown): Promise<T> {
    return must<T>(await this.request("PATCH", path, body), `PATCH ${path}`);
  }

  /** Deletes an object. */
  async delete(path: string): Promise<void> {
    must(await this.request("DELETE", path), `DELETE ${path}`);
  }

  /** Lets go of its connections. */
  close(): void {
    this.#client?.close();
    this.#client = null;
  }
}

/** The problem of an answer that must be one. */
export function problemOf(answer: Answer, what: string): Problem {
  const type = answer.headers.get("content-type");
  assert.equal(type, "application/problem+json", `${what}: ${JSON.stringify(answer.body)}`);
  // What the API promises of every problem; each member that a test uses is compared.
  const problem = answer.body as Problem;
  assert.equal(problem.status, answer.status, what);
  return problem;
}

function must<T>(answer: Answer, what: string): T {
  if (answer.status >= 300) {
    throw new Error(`${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  // The API's own tests hold its answers to their schemas; here they are taken at their word.
  return answer.body as T;
}
