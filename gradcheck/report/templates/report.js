(() => {
  const form = document.getElementById("filter");
  if (form) {
    const verdict = document.getElementById("filter-verdict");
    const name = document.getElementById("filter-name");
    const count = document.getElementById("filter-count");
    const apply = () => {
      const wanted = name.value.trim().toLowerCase();
      let seen = 0;
      for (const group of document.querySelectorAll("table.subjects tbody")) {
        let any = false;
        for (const row of group.querySelectorAll("tr[data-verdict]")) {
          const fits = (!verdict.value || row.dataset.verdict === verdict.value) && row.dataset.name.includes(wanted);
          row.hidden = !fits;
          any = any || fits;
          seen += fits;
        }
        group.hidden = !any;
      }
      count.textContent = verdict.value || wanted ? `${seen} shown` : "";
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details.exhibit")) part.open = true;
  });
})();
