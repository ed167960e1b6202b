import type { Id } from "../base/mod.ts";
import type { Page } from "./types.ts";

/** What of a list is asked for. */
export interface PageQuery {
  readonly limit: number;
  readonly after?: Id | undefined;
}

/** One page of `objects`, ordered by id, whatever order they come in. */
export function pageOf<Item extends { readonly id: Id }, View>(
  objects: Iterable<Item>,
  query: PageQuery,
  viewOf: (object: Item) => View,
): Page<View> {
  const { limit, after } = query;
  const rest: Item[] = [];
  for (const object of objects) {
    if (after === undefined || object.id > after) rest.push(object);
  }
  rest.sort((left, right) => left.id < right.id ? -1 : 1);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(viewOf),
    next: rest.length > limit && last !== undefined ? last.id : null,
  };
}
