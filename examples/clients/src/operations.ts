/** What the page does with every client: one query and one mutation, both at the same time. */
export interface Trial {
  /** The e-mail address of the person who is signed in. */
  query: () => Promise<string>;
  /** Creates a person with this first name, and returns the name that the server stored. */
  mutate: (firstName: string) => Promise<string>;
}

export const ME = /* GraphQL */ `
  query Me {
    currentUser {
      id
      email
    }
  }
`;

export interface Me {
  currentUser: { id: string; email: string };
}

export const CREATE = /* GraphQL */ `
  mutation Create($data: PersonCreateInput!) {
    createPerson(data: $data) {
      id
      name {
        firstName
      }
    }
  }
`;

export interface Created {
  createPerson: { id: string; name: { firstName: string } };
}

export interface Creating {
  data: { name: { firstName: string; lastName: string } };
}

/** The variables of {@link CREATE}. */
export function named(firstName: string): Creating {
  return { data: { name: { firstName, lastName: "Example" } } };
}
