// A hook inside Directus: a line in its log for each access token that it issues, with what it was issued for.
export default ({ filter }) => {
    filter("auth.jwt", (payload, { type }) => {
        console.log(`issued for ${type}`);
        return payload;
    });
};
