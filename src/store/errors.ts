/** The disk has lost entries that were acknowledged, or holds damaged ones. */
export class DataLostError extends Error {
  /** `DataLostError`. */
  override name = "DataLostError";
}

/** The disk refused a write: nothing can be acknowledged any more. */
export class StoreFailedError extends Error {
  /** `StoreFailedError`. */
  override name = "StoreFailedError";
}
