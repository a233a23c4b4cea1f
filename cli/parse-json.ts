/** Text from outside that should be JSON. */

/** What the text says, or undefined when it is no whole JSON: the schema that reads it next refuses that. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // cut short or foreign
  }
}
