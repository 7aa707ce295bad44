/** One line of comma-separated values (RFC 4180). Pure. */

/**
 * The fields of a line. A field in double quotes may hold commas and line breaks, and `""` for a quote.
 *
 * @param refuse Told what is wrong, e.g. that a quote is not closed; throws.
 */
export function parseCsvLine(text: string, refuse: (why: string) => never): string[] {
  const fields: string[] = [];
  for (let at = 0;;) {
    const quoted = text[at] === '"';
    const end = quoted ? closingQuote(text, at + 1, refuse) + 1 : endOfField(text, at);
    const field = text.slice(at, end);
    if (!quoted && field.includes('"')) {
      refuse(`a quote stands at the beginning and the end of a whole field: ${JSON.stringify(field.slice(0, 80))}`);
    }
    if (!quoted && /[\r\n]/.test(field)) refuse("it has a line break outside of quotes");
    fields.push(quoted ? field.slice(1, -1).replaceAll('""', '"') : field);
    if (end === text.length) return fields;
    if (text[end] !== ",") refuse("a quoted field goes on after its closing quote");
    at = end + 1;
  }
}

function endOfField(text: string, at: number): number {
  const comma = text.indexOf(",", at);
  return comma < 0 ? text.length : comma;
}

function closingQuote(text: string, from: number, refuse: (why: string) => never): number {
  for (let at = from;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) refuse("a quote is not closed");
    if (text[quote + 1] !== '"') return quote;
    at = quote + 2;
  }
}
