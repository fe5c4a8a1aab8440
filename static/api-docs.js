// The OpenAPI document, to read and to try. Nothing is fetched from anywhere but this server.
const place = document.getElementById("api");
SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  onComplete: () => {  // its headings are all below one title, and every part is in a landmark
    place.querySelectorAll("h3, h4").forEach((heading) => heading.setAttribute("aria-level", "2"));
    place.querySelector(".information-container")?.setAttribute("role", "banner");
  },
});
