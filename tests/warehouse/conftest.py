from small_deliveries import folder as folder
