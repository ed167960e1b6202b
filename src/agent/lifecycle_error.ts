/** A host cannot become a node, or cannot stop being one. */
export class LifecycleError extends Error {
  /** `LifecycleError`. */
  override name = "LifecycleError";
}
