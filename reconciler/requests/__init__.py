"""What the API may ask of the Engine: one declaration for each thing, one file a subject. **Pure**.

``declaration`` has the form; ``table`` lists the subjects. From a declaration come the allow list of the engine socket,
the route, the client's call, the OpenAPI document and the reference. What a request does is said in
``reconciler.jobs``, which the API process never imports: a declaration names its handler, and the controller loads it.
"""
