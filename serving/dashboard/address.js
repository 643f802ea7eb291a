// Where things are: `#/LINE`, `#/LINE/cell/CELL`, `#/LINE/savings`, `#/LINE/health`.

export const PAGES = ["line", "savings", "health"];

/** The address of a view. */
export function address(line, page = "line", cell = "") {
  const parts = [line, ...(cell ? ["cell", cell] : page === "line" ? [] : [page])];
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** The address of a cell's card. */
export const cellAddress = (cell) => address(cell.line_id, "line", cell.cell_id);

/** The view that an address names; what it leaves out is empty. */
export function viewOf(hash) {
  let parts = [];
  try {
    parts = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    parts = [];
  }
  const [line = "", page = "line", cell = ""] = parts;
  if (page === "cell") return { line, page: "line", cell };
  return { line, page: PAGES.includes(page) ? page : "line", cell: "" };
}
